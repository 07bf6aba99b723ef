"""Predictors of one community: they learn again when there is reason to."""

import shutil
from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.predictors.registry import load_predictor, predictor_class
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.training_set import read_parts
from redpop_assets.storage.models import ModelStore

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)


@pytest.fixture
def ready(learnable, copy_of):
    return copy_of(learnable)


def refresh(warehouse, models, encoders, name="metadata_boosting", seed=7):
    return refresh_predictor(name, "pics", warehouse, models, encoders, seed=seed)


def test_a_trained_predictor_is_recorded_and_stored(ready, models, encoders):
    said = []
    state = refresh_predictor("metadata_boosting", "pics", ready, models, encoders, seed=7, progress=said.append)
    assert state.trained_now
    (row,) = ready.query("SELECT * FROM models.predictors").to_pylist()
    assert row == {**state.row, "trained_at": row["trained_at"]}
    assert row["status"] == "trained"
    assert row["snapshot"] == ready.scalar("SELECT any_value(snapshot) FROM models.training_set")
    assert row["train_rows"] == ready.scalar("SELECT count(*) FROM models.training_set WHERE split = 'train'")
    assert row["code_version"] == predictor_class("metadata_boosting").code_version
    assert row["blocks"]
    assert row["train_seconds"] > 0
    assert said[0] == "metadata_boosting is trained in r/pics because there is none yet"
    assert len(said) > 1  # what it says of its training
    loaded = load_predictor(models.folder("pics", "metadata_boosting", row["digest"]))
    train, _ = read_parts(ready, "pics", encoders)
    assert np.corrcoef(loaded.predict(train), train.labels)[0, 1] > 0.6


def test_nothing_new_trains_nothing(ready, models, encoders):
    first = refresh(ready, models, encoders)
    before = ready.fingerprint("models.predictors")
    again = refresh(ready, models, encoders)
    assert again.trained_now is False
    assert again.row["digest"] == first.row["digest"]
    assert ready.fingerprint("models.predictors") == before


def test_a_new_snapshot_or_seed_trains_again(ready, models, encoders, learn_from):
    first = refresh(ready, models, encoders)
    assert first.trained_because == "there is none yet"
    assert refresh(ready, models, encoders, seed=8).trained_because == "the seed changed"
    with ready.write() as writer:
        writer.execute("UPDATE core.labels SET log_score = log_score + 1 WHERE post_id < 'pi00100'")
    learn_from(ready)
    second = refresh(ready, models, encoders)
    assert second.trained_because == "the training set and the seed changed"
    assert second.row["digest"] != first.row["digest"]
    assert ready.scalar("SELECT count(*) FROM models.predictors") == 1


def test_the_same_data_and_seed_give_the_same_files(ready, models, encoders, tmp_path):
    first = refresh(ready, models, encoders)
    other = ModelStore(tmp_path / "other")
    assert refresh(ready, other, encoders).row["digest"] == first.row["digest"]


def test_lost_and_damaged_files_are_made_again(ready, models, encoders):
    first = refresh(ready, models, encoders)
    folder = models.folder("pics", "metadata_boosting", first.row["digest"])
    (folder / "predictor.json").write_text("{}", encoding="utf-8")
    assert refresh(ready, models, encoders).trained_because == "its files are lost or damaged"
    assert models.folder("pics", "metadata_boosting", first.row["digest"]) == folder
    shutil.rmtree(folder)
    assert refresh(ready, models, encoders).trained_now
    assert folder.is_dir()


def test_another_code_version_trains_again(ready, models, encoders):
    refresh(ready, models, encoders)
    with ready.write() as writer:
        writer.execute("UPDATE models.predictors SET code_version = '0'")
    assert refresh(ready, models, encoders).trained_because == "the code changed"


def test_only_encoders_that_are_used_are_named_and_random_ones_are_marked(ready, models, encoders):
    metadata = refresh(ready, models, encoders).row
    assert (metadata["image_encoder"], metadata["caption_encoder"]) == (None, None)
    assert metadata["untrained_weights"] is False
    fusion = refresh(ready, models, encoders, "fusion_lightgbm").row
    assert (fusion["image_encoder"], fusion["caption_encoder"]) == (encoders.image, encoders.caption)
    assert fusion["untrained_weights"] is True


def test_without_images_the_others_are_trained_and_the_reason_is_recorded(empty, fill, models, encoders, learn_from):
    fill(empty, images=False)
    learn_from(empty)
    thesis = refresh(empty, models, encoders, "redpop_thesis").row
    assert thesis["status"] == "not_trained"
    assert "needs images" in thesis["reason"]
    fusion = refresh(empty, models, encoders, "fusion_lightgbm").row
    assert fusion["status"] == "trained"
    assert fusion["image_encoder"] is None
    assert not {"image", "pixels"} & set(fusion["blocks"])


def test_what_could_not_be_trained_is_tried_again_with_more_posts(empty, fill, models, encoders, learn_from):
    fill(empty, posts=80)
    learn_from(empty)
    assert refresh(empty, models, encoders).row["status"] == "not_trained"
    assert refresh(empty, models, encoders).trained_now is False
    fill(empty, posts=260)
    learn_from(empty)
    state = refresh(empty, models, encoders)
    assert state.trained_now
    assert (state.row["status"], state.row["reason"]) == ("trained", None)


def test_a_community_without_posts_is_not_trained_either(empty, encoders, fill, models, learn_from):
    fill(empty, posts=30)
    built = learn_from(empty, "aww")
    assert built.rows.num_rows == 0
    state = refresh_predictor("subreddit_median", "aww", empty, models, encoders, seed=7)
    assert state.row["status"] == "not_trained"
    assert refresh_predictor("subreddit_median", "aww", empty, models, encoders, seed=7).trained_now is False

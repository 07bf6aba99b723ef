"""The training set of one community: its shared split, its columns and its snapshot."""

from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.features.family import Encoders
from redpop_assets.refresh import training_set
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.training_set import build_training_set, read_parts

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)


@pytest.fixture
def filled(empty_warehouse, fill, keep):
    fill(empty_warehouse)
    return keep(empty_warehouse)


def build(warehouse, encoders, subreddit="pics", **changes):
    options = {"matured_after": WEEK, "test_share": 0.2, "validation_share": 0.15, "most": 1000, **changes}
    return build_training_set(warehouse, subreddit, encoders, **options)


@pytest.fixture
def ready(learnable, copy_of):
    return copy_of(learnable)


def test_only_labelled_posts_are_in_it(filled, encoders):
    rows = build(filled, encoders).rows.to_pylist()
    labels = filled.query("SELECT post_id, log_score FROM core.labels ORDER BY 1").to_pylist()
    assert [(row["post_id"], row["log_score"]) for row in rows] == [tuple(row.values()) for row in labels]
    assert 0 < len(rows) < filled.scalar("SELECT count(*) FROM core.posts")


def test_train_and_validation_were_mature_before_the_test_began(filled, encoders):
    rows = build(filled, encoders).rows.to_pylist()
    parts = {
        part: [row for row in rows if row["split"] == part]
        for part in ("train", "validation", "test", "embargo", "seen_before")
    }
    assert sum(map(len, parts.values())) == len(rows)
    assert all(parts[part] for part in ("train", "validation", "test", "embargo"))
    first_test = min(row["created_at"] for row in parts["test"])
    assert all(row["created_at"] + WEEK <= first_test for row in parts["train"] + parts["validation"])
    assert all(row["created_at"] + WEEK > first_test for row in parts["embargo"])
    assert max(r["created_at"] for r in parts["train"]) <= min(r["created_at"] for r in parts["validation"])
    assert len(parts["test"]) == pytest.approx(0.2 * len(rows), abs=3)


def test_of_other_communities_only_earlier_posts_of_their_train_parts_are_known(ready, encoders, fill, learn_from):
    assert len(read_parts(ready, "pics", encoders, [])[0].elsewhere) == 0
    fill(ready, "aww", seed=1, days=90)
    learn_from(ready, "aww")
    newest = ready.scalar("SELECT max(created_at) FROM models.training_set WHERE subreddit = 'aww' AND split = 'train'")
    train, _ = read_parts(ready, "aww", encoders, [])
    known = "FROM models.training_set WHERE subreddit = 'pics' AND split = 'train' AND created_at <= $newest"
    expected = ready.query(f"SELECT log_score {known} ORDER BY post_id", {"newest": newest}).column(0).to_numpy()
    assert 0 < len(expected) < len(read_parts(ready, "pics", encoders, [])[0])
    np.testing.assert_allclose(train.elsewhere, expected, rtol=1e-6)


def test_scores_of_another_scale_are_no_scores_of_elsewhere(ready, encoders, fill, learn_from):
    fill(ready, "aww", seed=1, label_scale="before December 2016")
    learn_from(ready, "aww")
    assert len(read_parts(ready, "aww", encoders, [])[0].elsewhere) == 0
    assert len(read_parts(ready, "pics", encoders, [])[0].elsewhere) == 0


def test_of_many_posts_the_newest_are_in_it(filled, encoders):
    rows = build(filled, encoders, most=120).rows.to_pylist()
    everything = build(filled, encoders).rows.to_pylist()
    newest = sorted(everything, key=lambda row: row["created_at"])[-120:]
    assert {row["post_id"] for row in rows} == {row["post_id"] for row in newest}
    assert len(everything) > 120
    assert {"train", "validation", "test"} <= {row["split"] for row in rows}


def test_posts_of_one_picture_share_a_group(filled, encoders):
    rows = {row["post_id"]: row for row in build(filled, encoders).rows.to_pylist()}
    assert rows["pi00038"]["duplicate_group"] == rows["pi00039"]["duplicate_group"]
    assert rows["pi00003"]["duplicate_group"] == "pi00003"
    learnt = {row["duplicate_group"] for row in rows.values() if row["split"] in ("train", "validation")}
    assert not learnt & {row["duplicate_group"] for row in rows.values() if row["split"] == "test"}


def test_an_unknown_author_is_a_cluster_of_its_own(filled, encoders):
    rows = {row["post_id"]: row for row in build(filled, encoders).rows.to_pylist()}
    assert rows["pi00007"]["cluster"] == "pi00007"
    assert rows["pi00008"]["cluster"] == "author8"


def test_scores_of_two_scales_do_not_meet(filled, encoders):
    with filled.write() as writer:
        writer.execute("UPDATE core.labels SET score_scale = 'before_2016_12' WHERE post_id < 'pi00020'")
    rows = build(filled, encoders).rows.to_pylist()
    assert min(row["post_id"] for row in rows) == "pi00020"


def test_labels_of_several_sources_or_ages_are_counted(filled, encoders):
    def after(change):
        with filled.write() as writer:
            writer.execute(f"UPDATE core.labels SET {change}")
        built = build(filled, encoders)
        return built.mixed, dict(built.labels)

    n = filled.scalar("SELECT count(*) FROM core.labels")
    assert after("source = 'reddit', age_at_label_hours = 168") == ((), {("reddit", True): n})
    assert after("source = 'arctic_shift', age_at_label_hours = 36 WHERE post_id < 'pi00020'") == (
        ("sources",),
        {("reddit", True): n - 20, ("arctic_shift", True): 20},
    )
    assert after("age_at_label_hours = 400 WHERE post_id >= 'pi00020' AND post_id < 'pi00030'") == (
        ("sources", "ages"),
        {("reddit", True): n - 30, ("reddit", False): 10, ("arctic_shift", True): 20},
    )
    rows = {row["post_id"]: row for row in build(filled, encoders).rows.to_pylist()}
    assert (rows["pi00003"]["label_source"], rows["pi00003"]["age_at_label_hours"]) == ("arctic_shift", 36)
    assert after("source = NULL, age_at_label_hours = 168") == ((), {("unknown", True): n})


def test_the_columns_tell_when_each_is_known_and_how_many_posts_have_it(filled, encoders):
    columns = {(row["block"], row["column_name"]): row for row in build(filled, encoders).columns.to_pylist()}
    assert {row["known_at"] for row in columns.values()} <= {"before_post", "at_post"}
    assert ("flags", "over_18") not in columns
    n = filled.scalar("SELECT count(*) FROM core.labels")
    assert columns["text", "words"]["present_rows"] == n
    assert 0.8 * n < columns["image", "embedding"]["present_rows"] < n
    assert columns["image", "embedding"]["source_table"] == "features.image_embeddings"


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ("UPDATE core.labels SET log_score = 9 WHERE post_id = 'pi00001'", True),
        ("DELETE FROM core.labels WHERE post_id = 'pi00001'", True),
        ("UPDATE features.caption_features SET words = 9", True),
        ("DELETE FROM features.image_embeddings", True),
        ("UPDATE core.posts SET author = 'somebody' WHERE post_id = 'pi00001'", True),
        ("UPDATE core.posts SET flair = 'x'", False),
        ("UPDATE core.labels SET percentile = 0.5, observed_at = observed_at + INTERVAL 1 DAY", False),
        ("UPDATE core.labels SET source = 'arctic_shift', age_at_label_hours = 36", False),
        ("UPDATE features.author_features SET past_posts = 99 WHERE post_id = 'pi00239'", False),
    ],
)
def test_the_snapshot_changes_with_what_the_training_sees(filled, encoders, change, other):
    before = build(filled, encoders).snapshot
    assert build(filled, encoders).snapshot == before
    with filled.write() as writer:
        assert writer.execute(change) >= 1
    assert (build(filled, encoders).snapshot != before) is other


CHANGES = [
    "UPDATE core.labels SET log_score = 9 WHERE post_id = 'pi00001'",
    "UPDATE core.labels SET source = 'arctic_shift', age_at_label_hours = 36",
    "UPDATE core.labels SET score_scale = 'before_2016_12' WHERE post_id < 'pi00020'",
    "UPDATE core.posts SET author = 'somebody' WHERE post_id = 'pi00001'",
    "UPDATE core.posts SET caption = caption || '!' WHERE post_id = 'pi00001'",
    "UPDATE core.duplicates SET duplicate_group = 'pi00001' WHERE post_id = 'pi00002'",
    "DELETE FROM core.posts WHERE post_id = 'pi00003'",
    "DELETE FROM features.image_embeddings",
    "UPDATE features.caption_embeddings SET embedding = list_reverse(embedding) WHERE caption_sha256 < '2'",
    "UPDATE features.timestamp_features SET hour_onehot = list_transform(hour_onehot, x -> 1 - x)::FLOAT[24]",
    # What is stored is no longer what was built.
    "DELETE FROM models.training_set WHERE post_id = 'pi00001'",
    "UPDATE models.training_set SET split = 'train'",
    "UPDATE models.training_columns SET present_rows = 1",
    "DELETE FROM models.training_set",
]


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_goes_unnoticed_and_without_one_nothing_is_built(ready, encoders, learn_from, monkeypatch, change):
    with ready.write() as writer:
        assert writer.execute(change) >= 1
    built = build(ready, encoders)
    found = learn_from(ready)
    kept = "SELECT * EXCLUDE made_from FROM models.training_columns ORDER BY ALL"
    stored = [ready.query(sql).to_pylist() for sql in ("FROM models.training_set ORDER BY post_id", kept)]
    assert found.snapshot == built.snapshot
    names = built.rows.column_names
    assert [{name: row[name] for name in names} for row in stored[0]] == built.rows.to_pylist()
    assert sorted(map(str, stored[1])) == sorted(str(dict(row)) for row in built.columns.to_pylist())
    ready.publish()
    monkeypatch.setattr(training_set, "build_training_set", lambda *_, **__: pytest.fail("built again"))
    again = learn_from(ready)
    assert (again.snapshot, again.sizes, again.labels, again.left_out, again.mixed) == (
        *(found.snapshot, found.sizes, found.labels, found.left_out, found.mixed),
    )
    assert not ready.publish().changed


@pytest.mark.parametrize("changes", [{"test_share": 0.3}, {"most": 100}, {"matured_after": 2 * WEEK}])
def test_other_settings_build_it_again(ready, encoders, learn_from, changes):
    assert learn_from(ready, **changes).snapshot == build(ready, encoders, **changes).snapshot


def test_the_set_of_an_older_home_is_built_once_more_and_keeps_its_snapshot(ready, learn_from, monkeypatch):
    before = ready.query("FROM models.training_set ORDER BY post_id")
    with ready.write() as writer:
        writer.execute("ALTER TABLE models.training_columns DROP COLUMN made_from")
        writer.execute("UPDATE main.warehouse_state SET ddl_digest = ''")
    learn_from(ready)
    assert ready.query("FROM models.training_set ORDER BY post_id") == before
    monkeypatch.setattr(training_set, "build_training_set", lambda *_, **__: pytest.fail("built again"))
    learn_from(ready)


def test_predictors_that_are_not_in_use_lose_their_state_all_the_same(ready, encoders, learn_from, models):
    refresh_predictor("subreddit_median", "pics", ready, models, encoders, seed=7)
    learn_from(ready, predictors=("metadata_boosting",))
    assert not ready.scalar("SELECT count(*) FROM models.predictors")


def test_the_snapshot_knows_split_and_encoders(filled, encoders):
    snapshots = {
        build(filled, encoders).snapshot,
        build(filled, encoders, test_share=0.3).snapshot,
        build(filled, Encoders(image="timm:resnet50/random", caption=encoders.caption)).snapshot,
    }
    assert len(snapshots) == 3


def test_a_community_without_a_past_has_no_split_and_no_predictor(empty_warehouse, encoders, fill, models, learn_from):
    fill(empty_warehouse, posts=30, days=10)
    built = learn_from(empty_warehouse)
    assert {row["split"] for row in built.rows.to_pylist()} == {"train"}
    for name in ("subreddit_median", "fusion_lightgbm"):
        state = refresh_predictor(name, "pics", empty_warehouse, models, encoders, seed=7)
        assert state.row["status"] == "not_trained"
        assert "too few matured posts" in state.row["reason"]
        assert state.row["digest"] is None


def test_the_parts_carry_labels_and_never_a_test_post(ready, encoders):
    train, validation = read_parts(ready, "pics", encoders)
    split = {
        row["post_id"]: (row["split"], row["log_score"])
        for row in ready.query("SELECT post_id, split, log_score FROM models.training_set").to_pylist()
    }
    for part, data in (("train", train), ("validation", validation)):
        assert len(data) > 10
        assert {split[post][0] for post in data.post_ids} == {part}
        assert data.labels.tolist() == pytest.approx([split[post][1] for post in data.post_ids])

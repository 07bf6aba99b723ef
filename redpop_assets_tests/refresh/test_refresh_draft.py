"""What the trained predictors expect of a post that is not made yet."""

import hashlib
from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.errors import NotTrainable
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.refresh.champions import refresh_champion
from redpop_assets.refresh.draft import forecast
from redpop_assets.refresh.leaderboard import refresh_leaderboard
from redpop_assets.refresh.new_post import NewPost
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
NAMES = ("subreddit_median", "metadata_boosting")

HOW_IT_RUNS = ("backend", "precision", "batch_size", "items_per_second", "min_cosine")
"""Columns of features.encoders that are empty where nothing was measured."""


@pytest.fixture(scope="session")
def train(learn_from):
    def train(warehouse, models, encoders, subreddit="pics", names=NAMES):
        learn_from(warehouse, subreddit, networks=encoders)
        for name in names:
            assert refresh_predictor(name, subreddit, warehouse, models, encoders, seed=7).row["status"] == "trained"

    return train


@pytest.fixture(scope="module")
def trained(prepared, encoders, train):
    folder, warehouse, models = prepared
    with warehouse.kept():
        train(warehouse, models, encoders)
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


def predict_all(warehouse, models):
    said = []
    return refresh_predictions(warehouse, models, progress=said.append), said


def rows_of(warehouse, sql="FROM marts.predictions ORDER BY post_id, predictor"):
    return warehouse.query(sql).to_pylist()


def nobody():
    """No judge of pictures."""
    return Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get)


def new_post(
    warehouse,
    subreddit="pics",
    caption="A fine caption",
    image=None,
    author=None,
    at=datetime(2026, 6, 1, 18, tzinfo=UTC),
    captions=(),
):
    options = {"posted_at": at, "author": author, "matured_after": WEEK, "device": "cpu", "judges": nobody()}
    return NewPost(warehouse, subreddit, captions or (caption,), image, **options)


def ask(warehouse, models, *place, **post):
    return {one.predictor: one for one in forecast(warehouse, models, new_post(warehouse, *place, **post))}


def test_a_forecast_of_each_predictor(ready, models):
    found = ask(ready, models)
    assert set(found) == set(NAMES)
    for one in found.values():
        assert np.isfinite(one.expected_log_score)
        assert one.expected_score == pytest.approx(
            np.sign(one.expected_log_score) * np.expm1(abs(one.expected_log_score))
        )
        assert 0 <= one.percentile <= 1
        assert one.used_image is False
        assert one.test_spearman is one.test_mae is one.champion_since is None  # nothing was compared yet
        for level, (low, high) in one.intervals.items():
            assert low < one.expected_score < high, level
        assert one.intervals[90][0] < one.intervals[80][0] < one.intervals[50][0]
    assert found["metadata_boosting"].used_caption
    assert not found["subreddit_median"].used_caption
    stored = rows_of(ready, "FROM models.training_set WHERE split = 'train'")
    assert found["subreddit_median"].expected_log_score == pytest.approx(np.median([r["log_score"] for r in stored]))


@pytest.mark.parametrize(
    ("block", "column", "of_picture", "of_caption"),
    [
        ("image", "embedding_0001", True, False),
        ("caption", "embedding_0001", False, True),
        ("agreement", "agreement", True, True),
        ("seen", "times_here", True, False),
        ("novelty", "max_similarity", False, True),
        ("neighbours", "image_neighbours", True, False),
        ("neighbours", "caption_neighbours", False, True),
        ("title_past", "words_past_mean", False, True),
        ("environment", "image_mean_0001", False, False),  # of other posts
        ("time", "hour_sin", False, False),
    ],
)
def test_what_follows_from_picture_and_caption(block, column, of_picture, of_caption):
    assert (BLOCKS[block].is_of("picture", column), BLOCKS[block].is_of("caption", column)) == (of_picture, of_caption)


def test_the_skill_is_that_of_the_leaderboard(ready, models):
    predict_all(ready, models)
    board = {row["predictor"]: row["spearman"] for row in refresh_leaderboard(ready, seed=7, progress=str).rows}
    found = ask(ready, models)
    assert {name: one.test_spearman for name, one in found.items()} == board
    assert board["metadata_boosting"] > 0.3


def test_the_champion_comes_first_and_the_others_as_they_rank(ready, models):
    predict_all(ready, models)
    refresh_leaderboard(ready, seed=7, progress=str)
    names = [one.predictor for one in forecast(ready, models, new_post(ready))]
    assert names == ["metadata_boosting", "subreddit_median"]  # who orders nothing is last
    row, _ = refresh_champion(ready, models, "pics", ["subreddit_median"], seed=7, progress=str)
    found = forecast(ready, models, new_post(ready))
    assert [one.predictor for one in found] == names[::-1]
    assert [one.champion_since for one in found] == [row["promoted_at"], None]
    board = {row["predictor"]: row["mae"] for row in rows_of(ready, "FROM marts.leaderboard")}
    assert {one.predictor: one.test_mae for one in found} == board


def test_a_forecast_has_the_interval_of_equal_expectations(ready, models):
    predict_all(ready, models)
    one = ask(ready, models)["subreddit_median"]
    row = rows_of(ready, "FROM marts.predictions WHERE predictor = 'subreddit_median' LIMIT 1")[0]
    for level in (50, 80, 90):
        ends = np.array([row[f"low_{level}"], row[f"high_{level}"]])
        assert one.intervals[level] == pytest.approx(tuple(np.sign(ends) * np.expm1(abs(ends))))
    with ready.write() as writer:
        writer.execute("DELETE FROM models.validation_predictions")
    assert set(ask(ready, models)["subreddit_median"].intervals.values()) == {None}


def test_the_caption_counts(ready, models):
    # In this community only the number of words decides, and none has more than four of its standardised ones.
    assert ask(ready, models, caption="word " * 60)["metadata_boosting"].percentile > 0.8


def test_an_unknown_community_is_told_which_are_known(ready, models):
    with pytest.raises(NotTrainable, match=r"r/aww.*pics"):
        ask(ready, models, "aww")


def test_the_past_of_a_known_author_counts_and_only_what_was_mature(ready):
    """Author features of a forecast are those that the graph computes for a post of that moment."""
    from redpop_assets.features.authors import Activity, author_features
    from redpop_assets.storage.history import History

    at = datetime(2026, 3, 1, 18, tzinfo=UTC)
    made = new_post(ready, caption="A caption", author="author5", at=at).block("author", Encoders("", ""))
    everybody = History.read(ready, None, matured_after=WEEK)
    here = everybody.only("pics")
    moment = np.datetime64(at.replace(tzinfo=None), "s")
    earlier = [row for row, created in enumerate(here.created_at) if created < moment]
    created = np.append(here.created_at[earlier], moment)
    expected = author_features(
        [*(here.post_ids[row] for row in earlier), "new:0"],
        [*(here.authors[row] for row in earlier), "author5"],
        created,
        created + np.timedelta64(7, "D"),
        np.append(here.log_score[earlier], np.nan),
        captions=[*(here.captions[row] for row in earlier), "A caption"],
        activity=Activity(everybody.authors, everybody.subreddits, everybody.created_at),
    )
    values = dict(zip(made.columns, made.values[0], strict=True))
    assert values["past_posts"] > 0
    assert values["past_mature_posts"] > 0
    for name, column in expected.items():
        assert values[name] == pytest.approx(column[-1]), name
    stranger = new_post(ready, caption="A caption", at=at).block("author", Encoders("", ""))
    assert stranger.values[0][stranger.columns.index("past_posts")] == 0


@pytest.fixture(scope="module")
def seen():
    """The encoders that packages carry, by their names."""
    return Encoders("timm:tf_efficientnet_lite0/bundled", "sentence_transformers:all-MiniLM-L6-v2/bundled")


def test_picture_and_caption_are_embedded_as_in_the_graph(seen, ready):
    """A post that is in the warehouse already gets, as a forecast, the vectors that stand there."""
    from redpop_assets.encoders.load import load_image_encoder, load_text_encoder

    picture = Image.radial_gradient("L").convert("RGB").resize((300, 200))
    post = new_post(ready, caption="A caption", image=picture)
    image, caption = (post.block(name, seen) for name in ("image", "caption"))
    assert np.array_equal(image.values, load_image_encoder(seen.image, device="cpu").encode([picture]))
    assert np.array_equal(caption.values, load_text_encoder(seen.caption, device="cpu").encode(["A caption"]))
    assert new_post(ready).block("image", seen) is None


def test_a_predictor_of_pictures_answers_with_and_without_one(empty, fill, models, seen, train):
    """Vectors of the real width stand in the tables, so that those of the forecast fit them."""
    from redpop_assets.storage.arrow import arrow_table

    fill(empty)
    rng = np.random.default_rng(0)
    for table, key, encoder, modality, width in (
        ("features.image_embeddings", "image_sha256", seen.image, "image", 1280),
        ("features.caption_embeddings", "caption_sha256", seen.caption, "caption", 384),
    ):
        keys = empty.query(f"SELECT {key}, code_version FROM {table}").to_pydict()
        n = len(keys[key])
        vectors = rng.normal(size=(n, width)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with empty.write() as writer:
            writer.execute(f"DELETE FROM {table}")
            writer.execute("DELETE FROM features.encoders WHERE modality = $modality", {"modality": modality})
            writer.append(table, arrow_table({**keys, "encoder": [encoder] * n, "embedding": vectors}))
            writer.append(
                "features.encoders",
                arrow_table(
                    {
                        "encoder": [encoder],
                        "modality": [modality],
                        "dimension": [width],
                        "provenance": ["bundled"],
                        "weights_sha256": [hashlib.sha256().hexdigest()],
                        "library": ["none"],
                        "first_used_at": [datetime(2026, 1, 1)],
                        **{how: [None] for how in HOW_IT_RUNS},
                    }
                ),
            )
    train(empty, models, seen, names=("fusion_lightgbm",))
    picture = Image.radial_gradient("L").convert("RGB").resize((300, 200))
    without = ask(empty, models)["fusion_lightgbm"]
    with_picture = ask(empty, models, image=picture)["fusion_lightgbm"]
    assert with_picture.used_image
    assert not without.used_image
    assert np.isfinite([with_picture.expected_log_score, without.expected_log_score]).all()
    assert with_picture.expected_log_score != without.expected_log_score


TITLES = ("A caption", "My cat, finally at home [OC]", "A caption", "猫 😀", "word " * 60)


class Narrow:
    """Vectors that follow from the words, as short as those of the filled community."""

    dimension = 5

    def encode(self, texts):
        vectors = np.stack([np.random.default_rng(crc32(text.encode())).normal(size=5) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_each_of_several_titles_has_the_blocks_it_has_alone(seen, ready, monkeypatch):
    """Titles of one draft do not see each other, whatever a family looks at."""
    monkeypatch.setattr("redpop_assets.encoders.load.load_text_encoder", lambda _, **__: Narrow())
    picture = Image.radial_gradient("L").convert("RGB").resize((120, 90))
    how = {"image": picture, "author": "author5", "at": datetime(2026, 3, 1, 18, tzinfo=UTC)}
    together = new_post(ready, captions=TITLES, **how)
    alone = [new_post(ready, caption=title, **how) for title in TITLES[1:4]]
    there = 0
    for name in BLOCKS:
        block = together.block(name, seen)
        if block is None:
            assert alone[0].block(name, seen) is None
            continue
        there += 1
        assert block.values.shape[0] == len(TITLES)
        for row, post in enumerate(alone, start=1):
            one = post.block(name, seen)
            assert (one.columns, one.present[0]) == (block.columns, block.present[row])
            np.testing.assert_allclose(block.values[row], one.values[0], rtol=1e-4, atol=1e-5, err_msg=name)
    assert there >= 10


def test_one_title_is_forecast_and_several_are_compared(ready, models):
    with pytest.raises(ValueError, match="compare_titles"):
        forecast(ready, models, new_post(ready, captions=("a", "b")))

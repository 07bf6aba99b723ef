"""Several titles of one draft: the order, the differences and what cannot be told."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import ClassVar
from zlib import crc32

import numpy as np
import pytest

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.draft import forecast
from redpop_assets.refresh.held_out import parts_of
from redpop_assets.refresh.new_post import NewPost
from redpop_assets.refresh.predictors import encoders_of, refresh_predictor
from redpop_assets.refresh.sides import mixed
from redpop_assets.refresh.titles import SURE_LEVEL, Difference, compare_titles

pytestmark = pytest.mark.integration

NAMES = ("metadata_boosting", "subreddit_median", "tfidf_ridge")
LONG, SHORT, MIDDLE = "word " * 60, "A", "Three words here"


@pytest.fixture(scope="module")
def trained(prepared, encoders, learn_from):
    """A filled community, and predictors that look at titles and one that does not."""
    folder, warehouse, models = prepared
    with warehouse.kept():
        learn_from(warehouse)
        for name in NAMES:
            assert refresh_predictor(name, "pics", warehouse, models, encoders, seed=7).row["status"] == "trained"
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


class Encoder:
    """Vectors that follow from the words, as short as those of the filled community; counts what it is asked."""

    loaded = 0
    batches: ClassVar[list[int]] = []

    def encode(self, texts):
        self.batches.append(len(texts))
        vectors = np.stack([np.random.default_rng(crc32(text.encode())).normal(size=5) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    """Takes the place of the networks behind captions, whose vectors other tests look at."""

    def load(_, **__):
        Encoder.loaded += 1
        return Encoder()

    monkeypatch.setattr(Encoder, "loaded", 0)
    monkeypatch.setattr(Encoder, "batches", [])
    monkeypatch.setattr("redpop_assets.encoders.load.load_text_encoder", load)
    return Encoder


def draft(warehouse, *captions, subreddit="pics"):
    return NewPost(
        warehouse,
        subreddit,
        captions,
        None,
        posted_at=datetime(2026, 6, 1, 18, tzinfo=UTC),
        author=None,
        matured_after=timedelta(days=7),
        device="cpu",
        judges=Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get),
    )


def compared(warehouse, models, *captions, only=()):
    return {one.predictor: one for one in compare_titles(warehouse, models, draft(warehouse, *captions), only)}


def test_titles_are_ordered_by_what_is_expected_of_each_alone(ready, models):
    found = compared(ready, models, SHORT, LONG, MIDDLE)
    assert set(found) == set(NAMES)
    for comparison in found.values():
        expected = [one.forecast.expected_log_score for one in comparison.titles]
        assert expected == sorted(expected, reverse=True)
        for one in comparison.titles:
            assert one.difference.expected == pytest.approx(one.forecast.expected_log_score - expected[0])
    assert found["metadata_boosting"].titles[0].title == LONG  # in this community the number of words decides
    for alone in forecast(ready, models, draft(ready, MIDDLE)):
        (one,) = (title for title in found[alone.predictor].titles if title.title == MIDDLE)
        assert one.forecast.expected_log_score == pytest.approx(alone.expected_log_score, abs=1e-6)
        assert one.forecast.intervals[80] == pytest.approx(alone.intervals[80], abs=1e-3)


def test_what_is_worse_for_sure_is_told_apart_and_nothing_else(ready, models):
    comparison = compared(ready, models, LONG, SHORT, "B", only=["metadata_boosting"])["metadata_boosting"]
    assert comparison.held_out_posts >= 30
    for one in comparison.titles[1:]:
        bounds = [one.difference.intervals[level] for level in sorted(LEVELS, reverse=True)]
        for (outer_low, outer_high), (low, high) in pairwise(bounds):
            assert outer_low < low < high < outer_high
        assert one.difference.told_apart == (one.difference.intervals[SURE_LEVEL][1] < 0.0)
    for high, told in ((-0.01, True), (0.0, False), (0.4, False)):
        assert Difference(-0.5, {SURE_LEVEL: (-1.0, high)}).told_apart is told
    assert not Difference(-0.5, {SURE_LEVEL: (0.1, 0.4)}).told_apart  # against the order: nothing is claimed


def test_titles_that_are_equal_differ_by_exactly_nothing(ready, models):
    for comparison in compared(ready, models, LONG, SHORT, LONG, SHORT).values():
        best = comparison.titles[0]
        for title in (LONG, SHORT):
            one, other = (found.difference for found in comparison.titles if found.title == title)
            assert one == other
            if title == best.title:
                assert one.expected == 0.0
                assert set(one.intervals.values()) == {(0.0, 0.0)}


def test_who_does_not_look_at_titles_says_so(ready, models):
    comparison = compared(ready, models, SHORT, LONG)["subreddit_median"]
    assert not comparison.looks_at_titles
    assert "does not look at titles" in comparison.why_unknown
    assert [one.title for one in comparison.titles] == [SHORT, LONG]  # as they were given
    assert {one.difference.expected for one in comparison.titles} == {0.0}
    assert not any(one.difference.told_apart for one in comparison.titles)


def test_twenty_titles_load_the_networks_once_and_encode_one_batch(ready, models, encoder):
    found = compared(ready, models, *(f"Title number {number}" for number in range(20)))
    assert {len(one.titles) for one in found.values()} == {20}
    assert encoder.loaded == 1
    assert encoder.batches == [20]


def test_too_few_held_out_posts_are_said_and_nothing_is_claimed(ready, models):
    with ready.write() as writer:
        writer.execute("UPDATE models.training_set SET split = 'train' WHERE split IN ('test', 'embargo')")
    comparison = compared(ready, models, SHORT, LONG, only=["metadata_boosting"])["metadata_boosting"]
    assert "there are 0" in comparison.why_unknown
    assert set(comparison.titles[1].difference.intervals.values()) == {None}
    assert not comparison.titles[1].difference.told_apart
    assert comparison.titles[0].title == LONG


def test_without_a_caption_encoder_the_order_is_there_and_no_interval(ready, models):
    with ready.write() as writer:
        writer.execute("DELETE FROM features.encoders WHERE modality = 'caption'")
    comparison = compared(ready, models, SHORT, LONG, only=["metadata_boosting"])["metadata_boosting"]
    assert "no caption encoder" in comparison.why_unknown
    assert comparison.titles[0].title == LONG


def test_who_is_asked_and_where(ready, models):
    assert set(compared(ready, models, SHORT, LONG, only=["tfidf_ridge"])) == {"tfidf_ridge"}
    with pytest.raises(NotTrainable, match=r"oracle: not trained for r/pics.*metadata_boosting"):
        compared(ready, models, SHORT, LONG, only=["oracle"])
    with pytest.raises(NotTrainable, match="r/aww"):
        list(compare_titles(ready, models, draft(ready, SHORT, LONG, subreddit="aww")))


def test_a_post_with_the_title_of_another_keeps_what_is_its_own(ready, encoders):
    data = read_dataset(ready, "pics", encoders)
    posts, titles = np.array([3, 3, 5]), np.array([7, 3, 0])
    made = mixed(data, posts, {"title": titles})
    assert made.captions == tuple(data.captions[row] for row in titles)
    assert made.authors == tuple(data.authors[row] for row in posts)
    assert (made.created_at == data.created_at[posts]).all()
    for of_title in ("text", "caption", "novelty"):
        np.testing.assert_array_equal(made.blocks[of_title].values, data.blocks[of_title].values[titles])
    for of_post in ("image", "time", "author", "agreement", "seen"):
        np.testing.assert_array_equal(made.blocks[of_post].values, data.blocks[of_post].values[posts])
    near = data.blocks["neighbours"]
    for position, column in enumerate(near.columns):
        rows = titles if column.startswith("caption_") else posts
        np.testing.assert_array_equal(made.blocks["neighbours"].values[:, position], near.values[rows, position])


def test_the_part_of_a_title_is_a_mean_over_places(ready, models):
    row = ready.query("FROM models.predictors WHERE predictor = 'metadata_boosting'").to_pylist()[0]
    predictor = load_predictor(models.folder("pics", "metadata_boosting", row["digest"]))
    data = read_dataset(ready, "pics", encoders_of(row), list(predictor.columns))
    data = data.take(np.arange(31))

    def expected(place, title):
        return predictor.predict(mixed(data, np.array([place]), {"title": np.array([title])}))[0]

    by_hand = [np.mean([expected(place, title) for place in (0, 10, 20, 30)]) for title in range(31)]
    np.testing.assert_allclose(parts_of("title", predictor, data, places=4), by_hand, atol=1e-6)

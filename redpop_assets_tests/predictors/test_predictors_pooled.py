"""Predictors that borrow: what they take from others, what of their own they keep, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.base import LEAST_LENT
from redpop_assets.predictors.dataset import Dataset, joined
from redpop_assets.predictors.registry import load_predictor, predictor_class
from redpop_assets.predictors.systems.pooled import RELATIVE, Scale, normal_scores
from redpop_assets.testing.titled import sandbox_communities

pytestmark = pytest.mark.integration

TRAIN, VALIDATION, TEST = 100, 20, 300


@pytest.fixture(scope="module")
def told():
    """Six communities whose tastes are much alike, each with few posts to learn from."""
    return [community.newest(TRAIN + VALIDATION + TEST) for community in sandbox_communities(6, 560, seed=3)]


def parts(data):
    edges = [TRAIN, TRAIN + VALIDATION]
    return [data.take(rows) for rows in np.split(np.arange(len(data)), edges)]


def borrowed(told, number):
    """Train, validation and test part of a community, and what others lend it."""
    train, validation, test = parts(told[number])
    others = [other for place, other in enumerate(told) if place != number]
    return train, validation, test, [other.select(other.created_at <= train.created_at.max()) for other in others]


def fitted(told, number=0, name="pooled_fusion_metadata", **changes):
    train, validation, _, others = borrowed(told, number)
    given = {"train": train, "validation": validation, "others": others} | changes
    predictor = predictor_class(name)(seed=3)
    return predictor, predictor.fit(given["train"], given["validation"], given["others"])


def test_few_posts_of_ones_own_are_worth_more_with_those_of_others(told):
    gains = []
    for number in range(len(told)):
        train, validation, test, _ = borrowed(told, number)
        alone = predictor_class("metadata_boosting")(seed=3)
        alone.fit(train, validation)
        pooled, _ = fitted(told, number)
        gains.append(spearman(test.labels, pooled.predict(test)) - (spearman(test.labels, alone.predict(test)) or 0))
    assert np.mean(gains) > 0.02
    assert sum(gain > 0 for gain in gains) >= 4


def test_others_who_like_nothing_in_particular_are_worth_nothing_and_cost_little(told):
    """With labels of chance elsewhere, what is left is what this community has of its own."""
    rng = np.random.default_rng(0)
    train, validation, test, others = borrowed(told, 0)
    random = [replace(other, log_score=rng.permutation(other.labels)) for other in others]
    predictor, _ = fitted(told, others=random)
    alone = predictor_class("metadata_boosting")(seed=3)
    alone.fit(train, validation)
    errors = [np.abs(test.labels - one.predict(test)).mean() for one in (predictor, alone)]
    assert errors[0] < errors[1] + 0.1


def test_level_and_spread_of_others_do_not_matter(told):
    """Scores of another community count by their ranks: stretched or shifted, nothing that is predicted changes."""
    _, _, test, others = borrowed(told, 0)
    stretched = [
        replace(other, log_score=(np.exp(other.labels / 3) + number).astype(np.float32))
        for number, other in enumerate(others)
    ]
    first, again = (fitted(told, others=lent)[0].predict(test) for lent in (others, stretched))
    np.testing.assert_array_equal(first, again)


def test_pasts_count_within_their_community(told):
    """A community whose authors have twice the past of others looks like them."""
    train = told[0]
    author = train.blocks["author"]
    moved = replace(author, values=(2 * author.values + 5).astype(np.float32))
    other = replace(train, blocks={**train.blocks, "author": moved})
    first, second = (Scale.of(data).relative(data).blocks["author"].values for data in (train, other))
    np.testing.assert_allclose(first, second, atol=1e-3)
    assert np.isnan(first).any() == np.isnan(author.values).any()
    kept = Scale.of(train).relative(train).blocks["time"]
    np.testing.assert_array_equal(kept.values, train.blocks["time"].values)
    assert {"author", "community", "neighbours", "title_past"} <= RELATIVE
    assert not {"time", "text", "image", "caption", "flags"} & RELATIVE


def test_the_report_says_who_lent_how_much(told):
    _, report = fitted(told)
    _, _, _, others = borrowed(told, 0)
    assert report.lent == {other.subreddit: len(other) for other in others}
    assert report.notes[-2] == f"borrowed from 5 others: {sum(map(len, others))} posts"
    assert report.train_rows == TRAIN
    assert len(report.validation_prediction) == VALIDATION


def test_below_the_fewest_posts_of_its_member_nothing_is_added(told, tmp_path):
    train, validation, test, _ = borrowed(told, 0)
    predictor, report = fitted(told, train=train.newest(40), validation=validation.newest(12))
    assert predictor.own is None
    assert "nothing of its own: too few matured posts: 40 of 100" in report.notes[-1]
    said = predictor.everybody.predict(predictor.scale.relative(test.pick(predictor.columns)))
    np.testing.assert_allclose(predictor.predict(test), predictor.level + predictor.slope * said)
    assert spearman(test.labels, predictor.predict(test)) > 0.2
    predictor.save(tmp_path)
    np.testing.assert_array_equal(load_predictor(tmp_path).predict(test), predictor.predict(test))


def test_what_was_stored_predicts_the_same_and_one_seed_gives_the_same_files(told, tmp_path):
    test = borrowed(told, 0)[2]
    files = []
    for place in ("a", "b"):
        predictor, _ = fitted(told)
        predictor.save(tmp_path / place)
        files.append({p.name: p.read_bytes() for p in sorted((tmp_path / place).rglob("*")) if p.is_file()})
    assert files[0] == files[1]
    np.testing.assert_array_equal(load_predictor(tmp_path / "a").predict(test), predictor.predict(test))
    assert predictor.own is not None


def test_what_may_not_be_lent_is_refused(told):
    train, validation, _, others = borrowed(told, 0)
    with pytest.raises(ValueError, match="later than all that r/community00 learns from"):
        fitted(told, others=[told[1]])
    with pytest.raises(ValueError, match="that are lent need labels"):
        fitted(told, others=[replace(others[0], log_score=None)])
    with pytest.raises(ValueError, match="lent to r/community00, which has them"):
        fitted(told, others=[train])
    with pytest.raises(ValueError, match="lent to r/community00, which has them"):
        fitted(told, others=[replace(others[0], post_ids=(validation.post_ids[0], *others[0].post_ids[1:]))])
    few = [other.newest(LEAST_LENT - 1) for other in others]
    for nobody in ([], few, [other.without(["time"]) for other in others]):
        with pytest.raises(NotTrainable, match=f"^nobody to borrow from: no other community has {LEAST_LENT} posts"):
            fitted(told, others=nobody)
    with pytest.raises(NotTrainable, match=r"^others lend too little: too few matured posts: 34 of 100$"):
        fitted(told, others=[others[0].newest(40)])


def test_who_does_not_borrow_looks_at_nobody(told):
    train, validation, test, others = borrowed(told, 0)
    found = []
    for lent in ((), others):
        predictor = predictor_class("metadata_boosting")(seed=3)
        report = predictor.fit(train, validation, lent)
        assert report.lent == {}
        found.append(predictor.predict(test))
    np.testing.assert_array_equal(*found)


def test_normal_scores_are_those_of_ranks():
    values = np.array([3.0, 1.0, 1.0, 100.0])
    scores = normal_scores(values)
    assert scores[1] == scores[2] < scores[0] < scores[3]
    np.testing.assert_allclose(scores, normal_scores(np.log(values)))
    many = normal_scores(np.random.default_rng(0).exponential(size=2000))
    assert abs(many.mean()) < 0.01
    assert many.std() == pytest.approx(1, abs=0.01)


def test_datasets_are_joined_only_if_they_fit(told):
    both = joined(told[:2], "both")
    assert isinstance(both, Dataset)
    assert both.post_ids == told[0].post_ids + told[1].post_ids
    np.testing.assert_array_equal(both.blocks["time"].values[len(told[0]) :], told[1].blocks["time"].values)
    assert both.captions == told[0].captions + told[1].captions
    with pytest.raises(ValueError, match="other blocks or columns"):
        joined([told[0], told[1].without(["time"])], "both")
    with pytest.raises(ValueError, match="occur twice"):
        joined([told[0], told[0]], "both")

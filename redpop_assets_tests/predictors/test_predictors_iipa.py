"""Intrinsic popularity: what makes a pair, what sigma is, and what pairs teach."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.pairs import pair_accuracy
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.systems.iipa import (
    LEAST_COPIES,
    MOST_PAIRS,
    Controls,
    IntrinsicPopularity,
    discriminable_pairs,
    least_difference,
    order_probability,
    ranking_head,
    ranking_loss,
    same_pictures,
    sigma_of_copies,
)

pytestmark = pytest.mark.integration

HOUR = np.timedelta64(3600, "s")
START = np.datetime64("2025-03-01T00:00:00", "s")


def pairs_of(log_scores, hours=None, *, window=6, difference=0.7, **controls):
    n = len(log_scores)
    created = START + (np.arange(n) if hours is None else np.array(hours)) * HOUR
    given = {"pictures": np.arange(n), "title_words": np.full(n, 9)} | {
        name: None if values is None else np.array(values) for name, values in controls.items()
    }
    found = discriminable_pairs(
        created, np.array(log_scores, dtype=float), Controls(**given), difference, timedelta(hours=window), seed=0
    )
    return {tuple(pair) for pair in found.tolist()}


def test_the_probability_rule():
    assert order_probability(0.0, 0.3) == 0.5
    assert order_probability(0.4, 0.3) == pytest.approx(norm.cdf(0.4 / (np.sqrt(2) * 0.3)))
    # The paper's constants: about twice the likes.
    least = least_difference(0.95, 0.3)
    assert least == pytest.approx(0.698, abs=5e-4)
    assert np.exp(least) == pytest.approx(2.01, abs=5e-3)
    assert order_probability(least, 0.3) == pytest.approx(0.95)
    # The flat prior overstates: pictures are not infinitely different.
    assert order_probability(least, 0.3, tau=0.6) == pytest.approx(0.93, abs=5e-3)
    assert order_probability(least, 0.3, tau=0.3) == pytest.approx(0.88, abs=5e-3)
    assert order_probability(least, 0.3, tau=0.0) == 0.5


def test_that_probability_is_the_share_of_right_pairs():
    rng = np.random.default_rng(0)
    mu = rng.normal(0, 0.6, size=(400_000, 2))
    difference = np.diff(mu + rng.normal(0, 0.3, size=mu.shape))[:, 0]
    near = abs(difference - 0.7) < 0.02
    assert (np.diff(mu)[near] > 0).mean() == pytest.approx(order_probability(0.7, 0.3, tau=0.6), abs=0.01)


def test_what_makes_a_pair():
    assert pairs_of([5.0, 6.0, 4.4]) == {(1, 0), (1, 2)}, "the better one first; 0.6 is not enough for (0, 2)"
    assert pairs_of([5.0, 6.0], hours=[0, 7]) == set(), "too far apart"
    assert pairs_of([1.0, 2.0]) == set(), "votes are fuzzed by about ten points"
    assert pairs_of([5.0, 6.0], pictures=[4, 4]) == set(), "one picture"
    assert pairs_of([5.0, 6.0], pictures=[0, -1]) == set(), "no picture"
    assert pairs_of([5.0, 6.0], title_words=[5, 9]) == set(), "another length of title"
    assert pairs_of([5.0, 6.0], title_words=[6, 9]) == {(1, 0)}
    assert pairs_of([5.0, 6.0, 7.0], authors=["x", "y", "x"]) == {(2, 0)}
    assert pairs_of([5.0, 6.0], authors=["", ""]) == set(), "two unknown authors need not be one"


def test_many_pairs_are_sampled_in_a_repeatable_way():
    rng = np.random.default_rng(0)
    log_scores = rng.normal(6, 2, size=700)
    first = pairs_of(log_scores, hours=np.zeros(700, dtype=int))
    assert len(first) == MOST_PAIRS
    assert first == pairs_of(log_scores, hours=np.zeros(700, dtype=int))


def test_sigma_is_measured_on_copies_if_there_are_enough():
    rng = np.random.default_rng(0)
    pictures = np.repeat(np.arange(400), 3)
    log_scores = rng.normal(5, 2, size=400)[pictures] + rng.normal(0, 0.5, size=1200)
    sigma, freedom = sigma_of_copies(log_scores, pictures)
    assert freedom == 800
    assert sigma == pytest.approx(0.5, abs=0.03)
    few = 3 * LEAST_COPIES // 2 - 3
    assert sigma_of_copies(log_scores[:few], pictures[:few]) == (None, LEAST_COPIES - 2)
    assert sigma_of_copies(np.ones(60), np.repeat(np.arange(20), 3)) == (None, 40)


def with_image(values, present=None):
    n = len(values)
    present = np.ones(n, dtype=bool) if present is None else present
    values = np.where(present[:, None], values, np.nan).astype(np.float32)
    block = Block(values, tuple(f"c{i}" for i in range(values.shape[1])), present)
    return Dataset("pics", tuple(map(str, range(n))), {"image": block}, START + np.arange(n) * HOUR)


def test_copies_are_found_by_their_vectors():
    values = np.random.default_rng(0).normal(size=(1300, 40))
    values[7] = values[3] * 2
    values[1200] = values[3] + 0.01
    present = np.arange(1300) % 100 != 50
    expected = np.arange(1300)
    expected[[7, 1200]] = 3
    np.testing.assert_array_equal(same_pictures(with_image(values, present)), expected)


def test_the_head_is_the_minimum_of_the_logistic_loss():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(80, 6))
    ranks = inputs @ rng.normal(size=6) + rng.normal(size=80)
    pairs = rng.integers(80, size=(300, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = np.where((ranks[pairs[:, 0]] > ranks[pairs[:, 1]])[:, None], pairs, pairs[:, ::-1])
    weights = ranking_head(inputs, pairs, 0.01, np.zeros(6))
    differences = inputs[pairs[:, 0]] - inputs[pairs[:, 1]]
    # A logistic regression without intercept on differences of both signs.
    both, order = np.vstack([differences, -differences]), np.repeat([1, 0], len(pairs))
    other = LogisticRegression(C=1 / (2 * 0.01 * len(both)), fit_intercept=False, tol=1e-8).fit(both, order)
    np.testing.assert_allclose(weights, other.coef_[0], atol=2e-3)
    assert ranking_loss(np.zeros(80), pairs) == pytest.approx(np.log(2))
    assert ranking_loss(inputs @ weights, pairs) < np.log(2)


def test_it_finds_the_picture(planted):
    data = planted()
    predictor = IntrinsicPopularity()
    report = predictor.fit(data.train, data.validation)
    predicted = predictor.predict(data.test)
    assert spearmanr(predicted, data.test.labels).statistic > 0.4
    assert np.abs(predicted - data.test.labels).mean() < np.abs(data.test.labels - data.train.labels.mean()).mean()
    assert report.notes[0].startswith("sigma 0.30 (assumed; ")
    assert report.notes[1].startswith("pair accuracy ")
    held_out, _ = predictor._pairs(data.test, np.arange(len(data.test)))
    assert pair_accuracy(held_out, predictor._ranks(data.test)) > 0.65
    np.testing.assert_array_equal(np.argsort(predicted), np.argsort(predictor._ranks(data.test)))


def test_shuffled_labels_teach_nothing(planted):
    data = planted(sizes=(300, 60, 400), image_width=64, caption_width=32)
    rng = np.random.default_rng(5)
    parts = [replace(part, log_score=rng.permutation(part.labels)) for part in (data.train, data.validation)]
    predictor = IntrinsicPopularity()
    predictor.fit(*parts)
    assert abs(spearmanr(predictor.predict(data.test), data.test.labels).statistic) < 0.2
    assert predictor.predict(data.test).std() < 0.4 * data.test.labels.std()


def test_the_noisier_copies_are_the_clearer_a_pair_must_be(small):
    """Half of the train posts show the picture of the one before, whatever they scored."""
    image = small.train.blocks["image"]
    rows = np.arange(220)
    rows[1::2] = rows[::2]
    copied = replace(small.train, blocks={**small.train.blocks, "image": image.take(rows)})
    predictor = IntrinsicPopularity(seed=3)
    report = predictor.fit(copied, small.validation)
    assert predictor.sigma > 0.8
    assert "(measured; 1" in report.notes[0]
    log_scores = np.random.default_rng(0).normal(5, 2, size=100)
    clearer, clear = (
        pairs_of(log_scores, difference=least_difference(0.95, sigma)) for sigma in (predictor.sigma, 0.3)
    )
    assert clearer < clear


def test_the_train_part_decides_all_but_the_penalty_and_the_line(small, fitted):
    blocks = small.validation.blocks
    moved = Block(blocks["image"].values + np.float32(5), blocks["image"].columns, blocks["image"].present)
    other = IntrinsicPopularity(seed=3)
    other.fit(small.train, replace(small.validation, blocks={**blocks, "image": moved}))
    predictor, _ = fitted("iipa")
    np.testing.assert_array_equal(other.mean, predictor.mean)
    np.testing.assert_array_equal(other.deviation, predictor.deviation)
    assert other.sigma == predictor.sigma


def test_the_same_posts_give_the_same_files(small, fitted, tmp_path):
    fitted("iipa")[0].save(tmp_path / "a")
    again = IntrinsicPopularity(seed=3)
    again.fit(small.train.take(np.random.default_rng(0).permutation(220)), small.validation)
    again.save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_too_few_pairs(small):
    level = replace(small.train, log_score=np.full(220, 3.0, dtype=np.float32))
    with pytest.raises(NotTrainable, match=r"clearly different scores: 0 of 100 in train, \d+ of 10 in validation"):
        IntrinsicPopularity().fit(level, small.validation)
    same = np.ones((220, 96), dtype=np.float32)
    image = Block(same, small.train.blocks["image"].columns, np.ones(220, dtype=bool))
    with pytest.raises(NotTrainable, match="needs images that differ: all 220 training rows are the same"):
        IntrinsicPopularity().fit(replace(small.train, blocks={"image": image}), small.validation)

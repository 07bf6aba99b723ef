"""Every statistic twice: against scikit-learn or a loop, and against itself on posts written out as often as drawn."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as reference

from redpop_assets.evaluation import metrics, weighted_metrics
from redpop_assets.evaluation.weighted_metrics import (
    average_precision_of,
    kendall_of,
    median_of,
    ndcg_of,
    of_rows,
    precision_at_share_of,
    r2_of,
    roc_auc_of,
    root_of,
    share_of,
)

# Coarse values, so that ties are common.
VALUES = st.integers(-4, 4).map(lambda half: half / 2)


def columns(count, *elements):
    return st.tuples(*(arrays(kind, count, elements=values) for kind, values in elements))


CASES = st.integers(3, 15).flatmap(
    lambda count: columns(
        count,
        (np.float64, VALUES),
        (np.float64, VALUES),
        (np.bool_, st.booleans()),
        (np.bool_, st.booleans()),
        (np.int64, st.integers(0, 3)),
    )
)


def plain(statistic, count):
    return statistic(np.ones((1, count)))[0]


def statistics(truth, prediction, positive, said):
    return {
        "kendall": kendall_of(truth, prediction),
        "r2": r2_of(truth, prediction),
        "median": median_of(truth),
        "precision": share_of(positive & said, said),
        "roc_auc": roc_auc_of(positive, prediction),
        "average_precision": average_precision_of(positive, prediction),
        "ndcg": ndcg_of(truth + 2.0, prediction, 3),
        "precision_at": precision_at_share_of(positive, prediction, 0.3),
    }


@settings(deadline=None)
@given(CASES)
def test_weights_mean_repetition(case):
    truth, prediction, positive, said, times = case
    assume(times.sum() >= 3)
    written = np.repeat(np.arange(len(truth)), times)
    repeated = statistics(*(side[written] for side in (truth, prediction, positive, said)))
    for name, statistic in statistics(truth, prediction, positive, said).items():
        found = statistic(times[None, :].astype(np.float64))[0]
        assert found == pytest.approx(plain(repeated[name], len(written)), abs=1e-9, nan_ok=True), name


@settings(deadline=None)
@given(CASES)
def test_regression_metrics_are_the_plain_ones(case):
    truth, prediction, *_ = case
    n = len(truth)
    for found, expected in (
        (kendall_of(truth, prediction), metrics.kendall(truth, prediction)),
        (r2_of(truth, prediction), metrics.r2(truth, prediction)),
        (root_of(lambda weights: weights @ (truth - prediction) ** 2 / n), metrics.rmse(truth, prediction)),
        (median_of(truth), np.median(truth)),
    ):
        assert plain(found, n) == pytest.approx(np.nan if expected is None else expected, abs=1e-9, nan_ok=True)


@settings(deadline=None)
@given(CASES)
def test_classification_metrics_are_those_of_scikit_learn(case):
    _, score, positive, said, _ = case
    assume(0 < positive.sum() < len(positive))
    n = len(score)
    assert plain(roc_auc_of(positive, score), n) == pytest.approx(reference.roc_auc_score(positive, score))
    expected = reference.average_precision_score(positive, score)
    assert plain(average_precision_of(positive, score), n) == pytest.approx(expected)
    hits = positive & said
    assert plain(share_of(hits, positive), n) == pytest.approx(reference.recall_score(positive, said))
    f1 = plain(share_of(2.0 * hits, positive.astype(float) + said), n)
    assert f1 == pytest.approx(reference.f1_score(positive, said))
    if said.any():
        assert plain(share_of(hits, said), n) == pytest.approx(reference.precision_score(positive, said))


@settings(deadline=None)
@given(CASES, st.integers(1, 15))
def test_ndcg_is_that_of_scikit_learn(case, k):
    gain, score, *_ = case
    gain = gain + 2.0
    found = plain(ndcg_of(gain, score, k), len(gain))
    if k > len(gain) or not gain.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(reference.ndcg_score([gain], [score], k=k))
        assert plain(ndcg_of(gain, gain, k), len(gain)) == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_precision_at_a_share_is_the_mean_over_all_orders_of_ties(share, seed):
    random = np.random.default_rng(seed)
    score, relevant = random.integers(0, 3, 5).astype(float), random.random(5) < 0.5
    first = max(1, round(share * 5))
    orders = [np.array(order)[np.argsort(-score[list(order)], kind="stable")] for order in permutations(range(5))]
    expected = np.mean([relevant[order[:first]].mean() for order in orders])
    assert plain(precision_at_share_of(relevant, score, share), 5) == pytest.approx(expected)
    assert plain(precision_at_share_of(relevant, np.zeros(5), share), 5) == pytest.approx(relevant.mean())


def test_kendall_of_many_posts_has_no_resamples(monkeypatch):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    prediction = truth + rng.normal(size=60)
    small = kendall_of(truth, prediction)
    monkeypatch.setattr(weighted_metrics, "MOST_FOR_KENDALL", 59)
    large = kendall_of(truth, prediction)
    weights = np.stack([np.ones(60), np.r_[2.0, 0.0, np.ones(58)]])
    assert large(weights)[0] == pytest.approx(small(weights)[0])
    assert np.isnan(large(weights)[1])
    assert np.isfinite(small(weights)[1])


def test_some_of_the_posts():
    values = np.array([1.0, 5.0, 9.0, 7.0])
    rows = np.array([1, 3])
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [9.0, 3.0, 9.0, 1.0]])
    assert of_rows(rows, median_of(values[rows]))(weights).tolist() == [6.0, 5.0]


def test_undefined_is_nan():
    none = np.zeros(0)
    nobody = np.zeros((2, 0))
    for statistic in (
        *(kendall_of(none, none), r2_of(none, none), median_of(none), share_of(none, none)),
        *(roc_auc_of(none > 0, none), average_precision_of(none > 0, none), ndcg_of(none, none, 3)),
        precision_at_share_of(none > 0, none, 0.1),
    ):
        assert np.isnan(statistic(nobody)).tolist() == [True, True]
    three = np.array([1.0, 2.0, 3.0])
    assert np.isnan(plain(r2_of(np.full(3, 0.1), three), 3))
    assert np.isnan(plain(kendall_of(three, np.zeros(3)), 3))
    assert np.isnan(plain(roc_auc_of(three > 0, three), 3))
    assert np.isnan(plain(average_precision_of(three > 9, three), 3))
    assert np.isnan(plain(kendall_of(three[:2], three[:2]), 2))

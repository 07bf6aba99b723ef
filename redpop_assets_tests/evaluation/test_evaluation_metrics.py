import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata, spearmanr

from redpop_assets.evaluation import metrics

# Coarse values, so that ties are common.
VALUES = st.integers(-8, 8).map(lambda quarter: quarter / 4)
TWO_SIDES = st.integers(3, 30).flatmap(
    lambda count: st.tuples(arrays(np.float64, count, elements=VALUES), arrays(np.float64, count, elements=VALUES))
)


@given(TWO_SIDES)
def test_spearman_is_scipys_and_symmetric(sides):
    truth, prediction = sides
    assume(np.ptp(truth) > 0 and np.ptp(prediction) > 0)
    found = metrics.spearman(truth, prediction)
    assert found == pytest.approx(spearmanr(truth, prediction).statistic, abs=1e-9)
    assert found == pytest.approx(metrics.spearman(prediction, truth), abs=1e-12)


@given(TWO_SIDES)
def test_rank_metrics_see_only_the_order(sides):
    truth, prediction = sides
    for metric in (metrics.spearman, metrics.kendall):
        found = metric(truth, prediction)
        assert found == metric(truth, np.exp(prediction) * 3)
        negated = metric(truth, -prediction)
        assert (found is None) == (negated is None)
        if found is not None:
            assert negated == pytest.approx(-found, abs=1e-12)
            assert -1 <= found <= 1


@given(arrays(np.float64, st.integers(0, 30), elements=VALUES))
def test_average_ranks(values):
    np.testing.assert_array_equal(metrics.average_ranks(values), rankdata(values))


def test_undefined_is_none():
    for metric in (metrics.spearman, metrics.kendall):
        assert metric([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]) is None
        assert metric([5.0, 5.0, 5.0], [1.0, 2.0, 3.0]) is None
        assert metric([1.0, 2.0], [1.0, 2.0]) is None
        assert metric([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]) == 1
    assert metrics.r2([2.0, 2.0], [1.0, 3.0]) is None
    for metric in (metrics.mae, metrics.mse, metrics.rmse, metrics.r2):
        assert metric([], []) is None


def test_errors_by_hand():
    truth, prediction = [0.0, 1.0, 2.0, 5.0], [0.0, 2.0, 4.0, 2.0]
    assert metrics.mae(truth, prediction) == 1.5
    assert metrics.mse(truth, prediction) == 3.5
    assert metrics.rmse(truth, prediction) == pytest.approx(np.sqrt(3.5))
    assert metrics.r2(truth, prediction) == pytest.approx(1 - 14 / 14)
    assert metrics.r2(truth, truth) == 1
    assert metrics.kendall([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6)


@given(arrays(np.int64, st.integers(0, 20), elements=st.integers(-500_000, 500_000)))
def test_log_score_has_an_inverse_and_keeps_the_order(scores):
    logged = metrics.log_score(scores)
    np.testing.assert_allclose(metrics.raw_score(logged), scores, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(np.sign(np.diff(logged)), np.sign(np.diff(scores)))


@given(arrays(np.float64, st.integers(1, 30), elements=VALUES))
def test_percentile_ranks_of_members(scores):
    ranks = metrics.percentile_rank(scores, scores)
    np.testing.assert_allclose(ranks, (rankdata(scores) - 0.5) / len(scores))
    assert ranks.mean() == pytest.approx(0.5)


def test_percentile_rank_of_strangers():
    assert metrics.percentile_rank([1, 2, 2, 3], [0, 2, 2.5, 9]).tolist() == [0, 0.5, 0.75, 1]


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="shape"):
        metrics.spearman([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        metrics.mae([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(ValueError, match="at least one"):
        metrics.percentile_rank([], [1.0])
    with pytest.raises(ValueError, match="finite"):
        metrics.percentile_rank([1.0], [float("nan")])


def test_hits_within_ten_percent_are_in_whole_points():
    truth = metrics.log_score([100, 100, 100, 0, 0, -20, 10])
    prediction = metrics.log_score([110, 111, 90.4, 0.4, 0.6, -18, 11])
    assert metrics.relative_hits(truth, prediction).tolist() == [True, False, True, True, False, True, True]


def test_hits_of_the_order_of_magnitude():
    truth = metrics.log_score([100, 100, 100, 0, 3, 0, -50])
    prediction = metrics.log_score([316, 317, 32, 3, 0, 4, 1])
    assert metrics.magnitude_hits(truth, prediction).tolist() == [True, False, True, True, True, False, True]


def test_intervals_by_hand():
    truth, low, high = [1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 3.5, 3.0], [1.5, 2.0, 4.0, 5.0]
    assert metrics.covered(truth, low, high).tolist() == [True, True, False, True]
    assert metrics.covered([], [], []).tolist() == []
    with pytest.raises(ValueError, match="below their beginning"):
        metrics.covered([1.0, 1.0], [0.0, 2.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="finite"):
        metrics.covered([1.0], [float("nan")], [2.0])

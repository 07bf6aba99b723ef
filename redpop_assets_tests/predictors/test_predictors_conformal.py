"""Split conformal intervals: what they promise, compared with a loop and with planted data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.predictors.parts.conformal import COLUMNS, FEWEST_IN_A_BIN, MOST_BINS, Calibration, tail_rank

NUMBERS = st.floats(-20, 20, allow_nan=False)


def pairs(least=0, most=260):
    return st.lists(st.tuples(NUMBERS, NUMBERS), min_size=least, max_size=most).map(
        lambda rows: (np.array([a for a, _ in rows]), np.array([b for _, b in rows]))
    )


def covered(intervals, log_score, level):
    return (intervals[f"low_{level}"] <= log_score) & (log_score <= intervals[f"high_{level}"])


@pytest.mark.parametrize(("level", "fewest"), [(50, 3), (80, 9), (90, 19)])
def test_how_many_posts_an_interval_takes(level, fewest):
    assert (tail_rank(fewest - 1, level), tail_rank(fewest, level)) == (0, 1)
    residuals = np.arange(fewest, dtype=float)
    assert np.isnan(Calibration.fit(0 * residuals[:-1], residuals[:-1]).intervals(np.zeros(1))[f"low_{level}"])
    found = Calibration.fit(0 * residuals, residuals).intervals(np.zeros(1))
    assert (found[f"low_{level}"], found[f"high_{level}"]) == (0, fewest - 1)


@given(st.integers(0, 5000), st.sampled_from(LEVELS))
def test_the_rank_is_that_of_the_formula(n, level):
    """The upper bound is the ceil((n + 1) (1 - a / 2))-th residual, in exact numbers."""
    from fractions import Fraction

    upper = math.ceil((n + 1) * (1 - Fraction(100 - level, 200)))
    assert n + 1 - tail_rank(n, level) == upper


@settings(max_examples=60, deadline=None)
@given(pairs(), st.lists(NUMBERS, min_size=1, max_size=8))
def test_bounds_are_order_statistics_of_the_residuals_of_the_bin(data, asked):
    expected, log_score = data
    calibration = Calibration.fit(expected, log_score)
    found = calibration.intervals(np.array(asked))
    assert set(found) == set(COLUMNS)
    for row, value in enumerate(asked):
        number = sum(edge <= value for edge in calibration.edges)
        members = [
            truth - said
            for said, truth in zip(expected, log_score, strict=True)
            if sum(edge <= said for edge in calibration.edges) == number
        ]
        assert found["calibration_posts"][row] == len(members)
        for level in LEVELS:
            k = (len(members) + 1) * (100 - level) // 200
            low, high = found[f"low_{level}"][row], found[f"high_{level}"][row]
            if k == 0:
                assert np.isnan([low, high]).all()
            else:
                assert low == value + sorted(members)[k - 1]
                assert high == value + sorted(members)[len(members) - k]


@settings(max_examples=60, deadline=None)
@given(pairs(least=19), NUMBERS)
def test_wider_intervals_hold_narrower_ones(data, value):
    found = {name: bound[0] for name, bound in Calibration.fit(*data).intervals(np.array([value])).items()}
    ends = ["low_90", "low_80", "low_50", "high_50", "high_80", "high_90"]
    assert [found[end] for end in ends] == sorted(found[end] for end in ends)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_no_bin_is_too_small_and_equal_expectations_share_one(data):
    expected, log_score = data
    calibration = Calibration.fit(expected, log_score)
    assert sum(map(len, calibration.residuals)) == len(expected)
    assert 1 <= len(calibration.residuals) <= MOST_BINS
    if len(calibration.residuals) > 1:
        assert min(map(len, calibration.residuals)) >= FEWEST_IN_A_BIN
    assert len(Calibration.fit(0 * expected, log_score).edges) == 0


def skewed(rng, n):
    """Expectation and score of which the error grows with the level, is skewed, and is biased."""
    expected = rng.gamma(4, 1, n)
    return expected, expected + (0.1 + 0.3 * expected) * (rng.gamma(2, 1, n) - 1.5)


@pytest.mark.parametrize("n", [20, 60, 150, 400])
def test_exchangeable_posts_are_covered_as_often_as_promised(n):
    """Over many calibrations, whatever the errors look like; and not much more often than that."""
    rng = np.random.default_rng(n)
    rounds, asked = 400, 50
    hits = {level: [] for level in LEVELS}
    for _ in range(rounds):
        expected, log_score = skewed(rng, n + asked)
        found = Calibration.fit(expected[:n], log_score[:n]).intervals(expected[n:])
        for level in LEVELS:
            hits[level].append(covered(found, log_score[n:], level).mean())
    for level, shares in hits.items():
        error = 3.5 * np.std(shares) / math.sqrt(rounds)
        assert np.mean(shares) >= level / 100 - error
        assert np.mean(shares) <= level / 100 + error + 2 * MOST_BINS / n  # order statistics are coarse


def test_low_and_high_expectations_are_covered_alike_and_not_with_one_width():
    """One width for all covers the low ones too often and the high ones too rarely."""
    rng = np.random.default_rng(1)
    expected, log_score = skewed(rng, 40_000)
    found = Calibration.fit(*skewed(rng, 1000)).intervals(expected)
    one_width = Calibration(np.zeros(0), (np.sort(log_score - expected),)).intervals(expected)
    low, high = expected < np.quantile(expected, 0.2), expected > np.quantile(expected, 0.8)
    for part in (low, high):
        assert covered(found, log_score, 80)[part].mean() == pytest.approx(0.8, abs=0.06)
    assert covered(one_width, log_score, 80)[low].mean() > 0.9
    assert covered(one_width, log_score, 80)[high].mean() < 0.7
    width = found["high_80"] - found["low_80"]
    assert width[high].mean() > 2 * width[low].mean()


def test_what_is_not_finite_or_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="finite"):
        Calibration.fit(np.array([1.0, np.nan]), np.zeros(2))
    with pytest.raises(ValueError, match="shape"):
        Calibration.fit(np.zeros(2), np.zeros(3))

"""Differences that are looked at together: Student's intervals, and p-values that know how many there are."""

import pytest
from scipy import stats

from redpop_assets.evaluation.lifts import lifts


def test_interval_and_p_value_are_students():
    (found,) = lifts([0.5], [0.2], [8])
    half = stats.t.ppf(0.975, 7) * 0.2
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.p_value == pytest.approx(2 * stats.t.sf(2.5, 7))
    assert found.told_apart


def test_what_is_sure_alone_is_not_sure_among_many():
    alone = lifts([0.5], [0.2], [8])[0]
    among = lifts([0.5, *[0.0] * 40], [0.2] * 41, [8] * 41)[0]
    assert among.p_value == pytest.approx(min(1, 41 * alone.p_value))
    assert not among.told_apart
    assert (among.low, among.high) == (alone.low, alone.high)


def test_nothing_is_judged_as_nothing():
    assert lifts([], [], []) == []


def test_one_author_says_nothing():
    with pytest.raises(ValueError, match="at least two authors"):
        lifts([0.5], [0.2], [1])

"""What limits a predictor: told only where intervals allow it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.evaluation.bootstrap import Interval
from redpop_assets.evaluation.limits import LEAST_PAIRS, WORTH_HAVING, limited_by, reachable_at_least


def around(low, high):
    return Interval((low + high) / 2, low, high, 0.95, 1000)


FLAT = around(-0.01, 0.01)


def test_each_verdict_by_hand():
    reached = around(0.5, 0.6)
    assert limited_by(around(0.01, 0.05), reached) == "posts"
    assert limited_by(around(-0.01, 0.05), reached) == "cannot be told"
    assert limited_by(FLAT, reached) == "luck or sight"
    assert limited_by(FLAT, reached, ceiling=around(0.55, 0.65)) == "luck"
    assert limited_by(FLAT, reached, ceiling=around(0.65, 0.75)) == "sight"
    assert limited_by(FLAT, reached, at_least=around(0.65, 0.75)) == "sight"
    assert limited_by(FLAT, reached, at_least=around(0.3, 0.75)) == "luck or sight"
    assert limited_by(None, reached) == limited_by(FLAT, None) == "cannot be told"


intervals = st.tuples(st.floats(-1, 1), st.floats(0, 0.5)).map(lambda drawn: around(drawn[0], drawn[0] + drawn[1]))


@given(gain=intervals, reached=intervals, ceiling=st.none() | intervals, at_least=st.none() | intervals)
def test_a_wider_interval_never_tells_more(gain, reached, ceiling, at_least):
    said = limited_by(gain, reached, ceiling=ceiling, at_least=at_least)
    wide = around(gain.low - 1, gain.high + 1)
    assert limited_by(wide, reached, ceiling=ceiling, at_least=at_least) == "cannot be told"
    if said == "posts":
        assert gain.low > 0
    if said in ("luck", "sight", "luck or sight"):
        assert gain.high < WORTH_HAVING
    if said == "sight":
        assert any(bound is not None and bound.low > reached.high for bound in (ceiling, at_least))
    if ceiling is None:
        assert said != "luck"


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_pictures_posted_twice_tell_what_their_pictures_are_worth(share):
    rng = np.random.default_rng(0)
    picture = np.repeat(rng.normal(size=1500), 2)
    scores = 3 + 1.3 * (math.sqrt(share) * picture + math.sqrt(1 - share) * rng.normal(size=3000))
    groups = [f"g{row // 2}" for row in range(3000)]
    order = rng.permutation(3000)
    found, pairs = reachable_at_least(scores[order], [groups[row] for row in order])
    assert pairs == 1500
    assert found.low < 6 / math.pi * math.asin(math.sqrt(share) / 2) < found.high
    assert found.high - found.low < 0.15


def test_few_pairs_tell_nothing():
    scores = np.random.default_rng(0).normal(size=100)
    groups = [
        f"g{min(row, 99 - row)}" if row < LEAST_PAIRS - 1 or row > 100 - LEAST_PAIRS else f"p{row}"
        for row in range(100)
    ]
    assert reachable_at_least(scores, groups) == (None, LEAST_PAIRS - 1)
    assert reachable_at_least(scores, [f"p{row}" for row in range(100)]) == (None, 0)
    # Pictures that say nothing: whoever knows them reaches nothing for sure.
    found, _ = reachable_at_least(scores, [f"g{row // 2}" for row in range(100)])
    assert found.low == 0.0

from datetime import timedelta
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.evaluation.pairs import PairRule, pair_accuracy, pair_outcomes, time_controlled_pairs

HOUR = 3600


def seconds(values) -> np.ndarray:
    return np.asarray(values, dtype=np.int64).astype("datetime64[s]")


def pairs_of(posts, groups=None, rule=None):
    """Pairs of posts given as (subreddit, created seconds, score)."""
    return time_controlled_pairs(
        np.asarray([post[0] for post in posts], dtype=np.str_),
        seconds([post[1] for post in posts]),
        np.asarray([post[2] for post in posts], dtype=np.float64),
        groups,
        rule,
    )


POSTS = st.lists(
    st.tuples(st.sampled_from(["pics", "aww"]), st.integers(0, 20).map(lambda n: n * HOUR), st.integers(-30, 100)),
    max_size=25,
)


@settings(deadline=None)
@given(POSTS, st.integers(0, 3))
def test_equals_the_definition(posts, group_count):
    groups = [row % group_count for row in range(len(posts))] if group_count else None
    found = {tuple(pair) for pair in pairs_of(posts, groups).tolist()}
    expected = {
        (a, b)
        for a, (subreddit_a, time_a, score_a) in enumerate(posts)
        for b, (subreddit_b, time_b, score_b) in enumerate(posts)
        if subreddit_a == subreddit_b
        and abs(time_a - time_b) <= 6 * HOUR
        and score_a - score_b >= 20
        and score_a >= 2 * max(score_b, 1)
        and (groups is None or groups[a] != groups[b])
    }
    assert found == expected
    assert len(pairs_of(posts, groups)) == len(expected)


def test_window_ends_at_its_second():
    assert len(pairs_of([("pics", 0, 100), ("pics", 6 * HOUR, 1)])) == 1
    assert len(pairs_of([("pics", 0, 100), ("pics", 6 * HOUR + 1, 1)])) == 0
    assert len(pairs_of([("pics", 0, 100), ("aww", 0, 1)])) == 0


def test_the_rule_can_be_set():
    posts = [("pics", 0, 15), ("pics", 30, 10)]
    assert len(pairs_of(posts)) == 0
    assert pairs_of(posts, rule=PairRule(min_ratio=1.5, min_difference=5)).tolist() == [[0, 1]]
    assert len(pairs_of(posts, rule=PairRule(timedelta(seconds=29), 1.5, 5))) == 0


def test_accuracy_by_hand():
    pairs = np.asarray([[0, 1], [1, 2], [0, 2], [0, 3]])
    prediction = [3.0, 1.0, 2.0, 3.0]
    assert pair_outcomes(pairs, prediction).tolist() == [1, 0, 1, 0.5]
    assert pair_accuracy(pairs, prediction) == 2.5 / 4
    assert pair_accuracy(pairs, np.zeros(4)) == 0.5
    assert pair_accuracy(pairs[:0], prediction) is None


@settings(deadline=None)
@given(POSTS)
def test_the_score_itself_is_always_right(posts):
    pairs = pairs_of(posts)
    score = np.asarray([post[2] for post in posts], dtype=np.float64)
    if len(pairs):
        assert pair_accuracy(pairs, score) == 1
        assert pair_accuracy(pairs, -score) == 0


def test_a_crowd_is_sampled_fairly_and_repeatably():
    """200 million pairs within the window of 20,000 posts: a sample, quickly, the same again, and fair."""
    random = np.random.default_rng(0)
    posts = 20_000
    created = seconds(random.integers(0, 6 * HOUR, posts))
    score = random.integers(0, 10_000, posts).astype(np.float64)
    prediction = score + random.normal(0, 5_000, posts)
    rule = PairRule(max_pairs=20_000, seed=3)
    started = perf_counter()
    pairs = time_controlled_pairs(np.zeros(posts), created, score, None, rule)
    assert perf_counter() - started < 5
    assert pairs.shape == (20_000, 2)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert (score[pairs[:, 0]] >= 2 * np.maximum(score[pairs[:, 1]], 1)).all()
    again = time_controlled_pairs(np.zeros(posts), created, score, None, rule)
    np.testing.assert_array_equal(pairs, again)
    other = time_controlled_pairs(np.zeros(posts), created, score, None, PairRule(max_pairs=20_000, seed=4))
    assert not np.array_equal(pairs, other)
    assert pair_accuracy(pairs, prediction) == pytest.approx(pair_accuracy(other, prediction), abs=0.02)
    # Rows appear alike early and late in the window.
    assert created[pairs].astype(np.int64).mean() == pytest.approx(3 * HOUR, rel=0.03)


def test_no_posts_no_pairs():
    assert pairs_of([]).shape == (0, 2)
    assert pairs_of([("pics", 0, 1)]).shape == (0, 2)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="shape"):
        time_controlled_pairs(["pics"], seconds([0, 1]), [1.0])
    with pytest.raises(ValueError, match="finite"):
        pairs_of([("pics", 0, float("nan"))])
    with pytest.raises(ValueError, match="missing"):
        time_controlled_pairs(["pics"], np.asarray(["NaT"], dtype="datetime64[s]"), [1.0])
    with pytest.raises(ValueError, match="groups"):
        pairs_of([("pics", 0, 1)], groups=[1, 2])
    with pytest.raises(ValueError, match="predictions"):
        pair_accuracy(np.asarray([[0, 1]]), [1.0, float("nan")])

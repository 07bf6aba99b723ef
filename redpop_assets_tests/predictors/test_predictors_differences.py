"""What the difference between two titles is worth: intervals hold what they promise, and know what cannot be known."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.predictors.parts.differences import FEWEST, Differences


def simulated(rng, posts, *, slope=1.0, unknown=0.5, author=0.4, noise=0.8, width=24, pairs=30):
    """Posts whose titles are worth slope * part, what vectors show and as much that they do not; and new titles."""
    vectors = rng.normal(size=(posts + 2 * pairs, width)) + 0.7
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = 0.6 * rng.normal(size=len(vectors))
    error = vectors @ rng.normal(size=width)
    error = (error - error.mean()) / error.std() + rng.normal(size=len(vectors))
    worth = slope * parts + unknown * error / np.sqrt(2)
    authors = rng.integers(posts // 4, size=posts)
    score = worth[:posts] + author * rng.normal(size=posts)[authors] + noise * rng.normal(size=posts)
    learnt = Differences.fit(
        score - parts[:posts], parts[:posts], vectors[:posts].astype(np.float32), [f"a{number}" for number in authors]
    )
    first, second = np.arange(posts, posts + pairs), np.arange(posts + pairs, posts + 2 * pairs)
    likeness = (vectors[first] * vectors[second]).sum(axis=1)
    return learnt, parts[first] - parts[second], worth[first] - worth[second], likeness


@pytest.mark.parametrize(
    ("posts", "options", "too_wide"),
    [
        (120, {}, 12),
        (60, {"slope": 0.3}, 12),
        (120, {"unknown": 1.0, "author": 0.0}, 12),
        (120, {"slope": 2.0, "unknown": 0.2}, 25),  # next to nothing is unknown, which so few posts cannot know
    ],
)
def test_intervals_hold_the_true_difference_as_often_as_they_promise(posts, options, too_wide):
    held = {50: [], 80: [], 90: []}
    for seed in range(10):
        learnt, difference, truth, likeness = simulated(np.random.default_rng(seed), posts, **options)
        for level, hits in held.items():
            low, high = learnt.interval(difference, likeness, level)
            hits += ((low <= truth) & (truth <= high)).tolist()
    for level, hits in held.items():
        assert level - 10 < 100 * np.mean(hits) < level + too_wide, f"{np.mean(hits):.2f} of {level}"


def test_more_posts_make_narrower_intervals_and_levels_are_nested():
    widths = []
    for posts in (40, 320):
        learnt, difference, _, likeness = simulated(np.random.default_rng(1), posts, unknown=0.3)
        ends = [learnt.interval(difference, likeness, level) for level in (90, 80, 50)]
        for (outer_low, outer_high), (low, high) in pairwise(ends):
            assert (outer_low < low).all()
            assert (high < outer_high).all()
        widths.append(np.mean(ends[0][1] - ends[0][0]))
        assert learnt.posts == posts
        assert learnt.weights.sum() == pytest.approx(1)
    assert widths[1] < widths[0]


def test_what_is_the_same_differs_by_nothing_and_what_is_alike_by_little():
    learnt, *_ = simulated(np.random.default_rng(2), 100)
    low, high = learnt.interval(np.zeros(4), np.array([1.0, 0.99, 0.8, 0.2]), 90)
    assert low[0] == high[0] == 0.0
    assert (np.diff(high) > 0).all()
    np.testing.assert_allclose(low, -high, atol=1e-9)


def test_the_order_of_posts_and_the_names_of_authors_do_not_matter_nor_a_constant():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(50, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    residuals, parts = rng.normal(size=50), rng.normal(size=50)
    authors = [None if row % 5 == 0 else f"a{row % 9}" for row in range(50)]
    asked = np.array([0.4, -1.0]), np.array([0.1, 0.6]), 80
    one = Differences.fit(residuals, parts, vectors, authors).interval(*asked)
    order = rng.permutation(50)
    other = Differences.fit(
        residuals[order] + 7, parts[order] - 3, vectors[order], [authors[row] and f"x{authors[row]}" for row in order]
    ).interval(*asked)
    np.testing.assert_allclose(one, other, rtol=1e-6)


@given(
    difference=st.floats(-30, 30, allow_nan=False),
    likeness=st.floats(-1, 1, allow_nan=False),
    level=st.sampled_from([50, 80, 90]),
)
def test_the_ends_are_finite_and_mirrored(difference, likeness, level):
    learnt, *_ = _LEARNT
    low, high = learnt.interval(np.array([difference, -difference]), np.array([likeness, likeness]), level)
    assert np.isfinite([low, high]).all()
    assert (low <= high).all()
    assert low[0] == pytest.approx(-high[1], abs=1e-6)


_LEARNT = simulated(np.random.default_rng(4), 40)


def test_it_says_nothing_where_nothing_can_be_learnt():
    rng = np.random.default_rng(5)
    vectors = np.eye(FEWEST, dtype=np.float32)
    some, nobody = rng.normal(size=FEWEST), [None] * FEWEST
    assert Differences.fit(some, some, vectors, nobody) is not None
    assert Differences.fit(some[1:], some[1:], vectors[1:], nobody[1:]) is None
    assert Differences.fit(some, np.ones(FEWEST), vectors, nobody) is None
    assert Differences.fit(some, some, vectors[:1].repeat(FEWEST, axis=0), nobody) is None
    assert Differences.fit(np.zeros(0), np.zeros(0), vectors[:0], []) is None


def test_what_does_not_fit_together_is_refused():
    vectors, some = np.eye(FEWEST, dtype=np.float32), np.arange(FEWEST, dtype=float)
    with pytest.raises(ValueError, match="one entry per post"):
        Differences.fit(some, some, vectors, ["a"])
    with pytest.raises(ValueError, match="finite"):
        Differences.fit(some, np.where(some == 3, np.nan, some), vectors, [None] * FEWEST)


def test_a_large_difference_of_a_predictor_that_is_right_is_certain_and_that_of_one_that_guesses_is_not():
    for slope, certain in ((1.0, True), (0.0, False)):
        learnt, *_ = simulated(np.random.default_rng(6), 150, slope=slope, unknown=0.1, noise=0.5)
        low, high = learnt.interval(np.array([-2.0]), np.array([0.3]), 90)
        assert (high[0] < 0.0) == certain
        assert low[0] < 0.0

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.evaluation.standing import FEWEST, Worth, told_apart


def world(n, skill, seed=0, authors=None):
    rng = np.random.default_rng(seed)
    expected = rng.random(n)
    actual = np.clip(0.5 + skill * (expected - 0.5) + rng.normal(0, 0.2, n), 0, 1)
    owner = [str(number if authors is None else number % authors) for number in range(n)]
    return expected, actual, owner


def test_an_expectation_is_worth_what_such_posts_did():
    worth = Worth.fit(*world(4_000, 0.6))
    assert worth.slope == pytest.approx(0.6, abs=0.03)
    for percentile in (0.1, 0.5, 0.9):
        assert worth.at(percentile)[0] == pytest.approx(0.5 + 0.6 * (percentile - 0.5), abs=0.02)


def test_who_ranks_like_chance_expects_the_middle_of_everything():
    worth = Worth.fit(*world(4_000, 0.0))
    assert worth.at(0.99)[0] == pytest.approx(0.5, abs=0.03)
    same = Worth.fit(np.full(100, 0.4), np.linspace(0, 1, 100), [str(n) for n in range(100)])
    assert same.slope == 0.0
    assert same.at(0.99)[0] == pytest.approx(0.5)


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_who_expects_too_much_or_too_little_of_every_post_loses_nothing_by_it(shift, scale):
    expected, actual, owner = world(200, 0.6)
    fair, biased = Worth.fit(expected, actual, owner), Worth.fit(shift + scale * expected**3, actual, owner)
    for value in expected[:5]:
        assert biased.at(shift + scale * value**3) == pytest.approx(fair.at(value))


@pytest.mark.parametrize("authors", [None, 60])
def test_intervals_hold_what_they_promise_where_half_of_the_spread_is_luck(authors):
    """Of 400 draws of posts, and a new post each, the interval of 90 % holds where it stands in about 90 %."""
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        n = 120
        owner = np.arange(n) if authors is None else rng.integers(0, authors, n)
        unknown = rng.normal(0, 0.12, n if authors is None else authors)[owner]
        expected = rng.random(n)
        actual = 0.3 + 0.4 * expected + unknown + rng.normal(0, 0.12, n)
        low, high = Worth.fit(expected, actual, [str(one) for one in owner]).interval(0.6, 90)
        held += low <= 0.3 + 0.4 * 0.6 + rng.normal(0, 0.12) <= high
    assert 0.86 <= held / 400 <= 0.95


def test_two_places_are_told_apart_only_beyond_what_is_not_known():
    usual = np.linspace(0, 1, 201)
    sure = Worth(usual, 0.0, 1.0, np.zeros((2, 2)), 0.002, 100)
    unsure = Worth(usual, 0.0, 1.0, np.zeros((2, 2)), 0.1, 100)
    assert told_apart((sure, 0.8), (sure, 0.5), 90)
    assert told_apart((sure, 0.5), (sure, 0.8), 90)
    assert not told_apart((sure, 0.8), (unsure, 0.5), 90)
    assert not told_apart((sure, 0.55), (sure, 0.5), 90)
    assert not told_apart((sure, 0.5), (sure, 0.5), 90)


def test_too_few_posts_or_authors_say_nothing():
    expected, actual, _ = world(200, 0.5)
    assert Worth.fit(expected, actual, ["one author"] * 200) is None
    assert Worth.fit(*world(FEWEST - 1, 0.5)) is None
    assert len(Worth.fit(*world(FEWEST, 0.5)).reference) == FEWEST


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="one entry per post"):
        Worth.fit(np.zeros(3), np.zeros(2), ["a"] * 3)
    with pytest.raises(ValueError, match="finite"):
        Worth.fit(np.array([0.5, np.nan]), np.zeros(2), ["a", "b"])

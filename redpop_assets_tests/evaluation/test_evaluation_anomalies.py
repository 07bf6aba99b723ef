"""Wrong periods of archives: what is planted is found, nothing else is, and what stays is a new level."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from redpop_assets.evaluation import anomalies
from redpop_assets.evaluation.anomalies import FALSE_ALARMS, MIN_LABELS, NEW_LEVEL, gaps, judged_windows

FIRST = date(2020, 1, 1)  # a Wednesday
YEARS = 3
DAYS = YEARS * 364


def community(rate, share, *, cycle=0.3, growth=0.0, dispersion=1.5, correlation=0.01, seed=0, days=DAYS):
    """(days,) posts and low scores of a community that is as it is: a weekly cycle, growth, more than Poisson noise.

    Args:
        rate: posts per day in the beginning.
        share: of low scores.
        cycle: of the week, in terms of the mean.
        growth: of the logarithm of the rate in a year.
        dispersion: variance of a day's posts in terms of their mean.
        correlation: of two posts of a week, as to their low scores.
        seed: of the noise.
        days: how long.
    """
    random = np.random.default_rng(seed)
    time = np.arange(days)
    mean = rate * np.exp(growth * time / 364) * (1 + cycle * np.cos(2 * np.pi * time / 7))
    posts = random.negative_binomial(mean / (dispersion - 1), 1 / dispersion)
    if correlation:
        size = 1 / correlation - 1
        share = np.repeat(random.beta(share * size, (1 - share) * size, days // 7 + 1), 7)[:days]
    return posts, random.binomial(posts, share)


def with_first_readings(posts, low, start, stop, portion, seed=0):
    """The low scores, if so many of the posts of some days had been read when they were made, and never again."""
    changed = low.copy()
    high = posts[start:stop] - low[start:stop]
    changed[start:stop] += np.random.default_rng(seed).binomial(high, portion)
    return changed


def judge(posts, low, first=FIRST):
    days = np.datetime64(first, "D") + np.flatnonzero(posts)
    return judged_windows(days, posts[posts > 0], low[posts > 0])


def on(day):
    return FIRST + timedelta(days=day)


# --- nothing is found where nothing is wrong ---


def test_false_alarms_are_as_rare_as_is_said():
    alarms = {"first_readings": 0, "new_level": 0, "gap": 0}
    years = 0
    for seed, (rate, share) in enumerate([(r, s) for r in (0.4, 3, 15, 80, 900) for s in (0.03, 0.15, 0.4, 0.7)] * 3):
        shape = {"cycle": (0.0, 0.3, 0.6)[seed % 3], "growth": (0.0, 0.8, -0.5)[seed // 3 % 3]}
        noise = {"dispersion": (1.1, 2.0, 5.0)[seed // 5 % 3], "correlation": (0.0, 0.01, 0.03)[seed // 7 % 3]}
        posts, low = community(rate, share, **shape, **noise, seed=seed)
        for found in [*judge(posts, low)[1], *gaps(FIRST, posts)]:
            alarms[found.kind] += 1
        years += YEARS
    assert years == 180
    assert max(alarms.values()) <= FALSE_ALARMS * years
    assert alarms["new_level"] == 0


@pytest.mark.parametrize("portion", [0.5, 1.0])
def test_a_community_is_never_judged_by_few_posts(portion):
    posts, low = community(0.4, 0.1, seed=1)  # some 36 labels in a quarter
    windows, found = judge(posts, with_first_readings(posts, low, 600, 700, portion))
    assert not found
    assert all(window.p_value is None for window in windows if window.labels < MIN_LABELS)


def test_without_a_past_nothing_is_judged():
    posts, low = community(20, 0.1, seed=2)
    windows, found = judge(posts, with_first_readings(posts, low, 0, 21, 1.0))
    assert not found
    assert windows[0].p_value is None


def test_a_boom_of_poor_posts_is_none():
    """Three times the posts for two months, and three times the share of low scores: a community in the news."""
    posts, low = community(20, 0.06, seed=3)
    random = np.random.default_rng(3)
    more = random.poisson(40, 60)
    posts[600:660] += more
    low[600:660] += random.binomial(more, 0.24)
    assert not judge(posts, low)[1]
    assert not gaps(FIRST, posts)


@pytest.mark.parametrize("rate", [10, 300])
def test_quiet_holidays_are_no_gap(rate):
    posts, _ = community(rate, 0.1, seed=4)
    posts[600:610] = posts[600:610] * 0.35
    assert not gaps(FIRST, posts)


@pytest.mark.parametrize("later", [0.02, 50.0])
def test_another_number_of_posts_from_a_day_on_is_no_gap(later):
    """A community that falls silent, or is harvested from some day on only, has no gap in between."""
    posts, _ = community(20, 0.1, seed=5)
    posts[500:] = np.random.default_rng(5).poisson(20 * later, DAYS - 500)
    assert not gaps(FIRST, posts)


def test_days_on_which_nobody_posts_in_any_week_are_no_gap():
    """A community that posts on Mondays only; that it missed five of them is one."""
    posts = np.where((np.arange(DAYS) + FIRST.weekday()) % 7 == 0, np.random.default_rng(15).poisson(40, DAYS), 0)
    assert not gaps(FIRST, posts)
    posts[600:635] = 0
    (found,) = gaps(FIRST, posts)
    assert found.posts == pytest.approx(200, rel=0.15)


def test_nothing_is_found_in_nothing():
    nothing = np.zeros(0, dtype=np.int64)
    assert judged_windows(nothing.astype("datetime64[D]"), nothing, nothing) == ([], [])
    assert gaps(FIRST, nothing) == []
    assert gaps(FIRST, np.zeros(400, dtype=np.int64)) == []
    assert gaps(FIRST, np.array([3])) == []


# --- what is planted is found ---


@settings(max_examples=60)
@given(
    rate=st.sampled_from([2.0, 8.0, 40.0, 400.0]),
    share=st.floats(0.02, 0.5),
    portion=st.floats(0.75, 1.0),
    start=st.integers(420, 900),
    weeks=st.integers(6, 20),
    growth=st.sampled_from([-0.4, 0.0, 0.6]),
    seed=st.integers(0, 1000),
)
@example(rate=8.0, share=0.1, portion=0.9, start=556, weeks=17, growth=0.0, seed=0)
def test_months_of_first_readings_are_found(rate, share, portion, start, weeks, growth, seed):
    posts, low = community(rate, share, growth=growth, correlation=0.005, seed=seed)
    stop = start + 7 * weeks
    assume(posts[start:stop].sum() > 3 * MIN_LABELS)
    low = with_first_readings(posts, low, start, stop, portion, seed)
    windows, found = judge(posts, low)
    there = [period for period in found if period.first < on(stop) and on(start) <= period.last]
    assert {period.kind for period in there} == {"first_readings"}
    marked = sum(
        int(posts[max(0, (period.first - FIRST).days) : (period.last - FIRST).days + 1].sum()) for period in there
    )
    assert marked == sum(period.posts for period in there)
    # Windows that begin or end in it may have too few of them; inside it none is missed.
    longest = max((window.last - window.first).days + 1 for window in windows if window.labels >= MIN_LABELS)
    inside = [window for window in windows if window.first >= on(start) and window.last < on(stop)]
    assert all(window.sticks_out for window in inside if window.labels >= MIN_LABELS)
    assert min(period.first for period in there) >= on(start - longest)
    assert max(period.last for period in there) <= on(stop + longest)


@pytest.mark.parametrize(("rate", "weeks"), [(10, 1), (60, 1), (500, 1), (2, 4), (0.8, 13)])
def test_how_short_a_period_can_be(rate, weeks):
    """A whole window of first readings is enough; how long that is depends on the number of posts."""
    posts, low = community(rate, 0.1, seed=6)
    quarter = 91  # days; one begins on 1969-12-29, a Monday
    start = next(day for day in range(9 * quarter, DAYS) if (on(day) - date(1969, 12, 29)).days % quarter == 0)
    found = judge(posts, with_first_readings(posts, low, start, start + 7 * weeks, 0.95))[1]
    assert [(period.kind, period.first) for period in found] == [("first_readings", on(start))]
    assert found[0].last >= on(start + 7 * weeks - 1)
    assert found[0].strength > 0.5


@settings(max_examples=60)
@given(
    rate=st.floats(12, 800),
    start=st.integers(60, 900),
    days=st.integers(3, 90),
    left=st.floats(0.0, 0.03),
    growth=st.sampled_from([-0.4, 0.0, 0.6]),
    seed=st.integers(0, 1000),
)
def test_gaps_are_found_to_the_day(rate, start, days, left, growth, seed):
    posts, _ = community(rate, 0.1, growth=growth, seed=seed)
    posts[start : start + days] = posts[start : start + days] * left
    (found,) = gaps(FIRST, posts)
    # A quiet day beside it may belong to it.
    assert on(start - 1) <= found.first <= on(start)
    assert on(start + days - 1) <= found.last <= on(start + days)
    assert found.strength > 0.9
    assert found.posts == pytest.approx(rate * np.exp(growth * start / 364) * days, rel=0.45)


def test_two_days_of_protest_are_a_gap_where_ten_posts_a_day_are_usual():
    posts, _ = community(10, 0.1, dispersion=1.2, seed=7)
    posts[894:896] = 0  # a Monday and a Tuesday
    assert [(found.first, found.last) for found in gaps(FIRST, posts)] == [(on(894), on(895))]


def test_a_gap_at_the_end_is_none_until_two_weeks_have_come_after_it():
    posts, _ = community(30, 0.1, seed=8)
    posts[600:620] = 0
    assert not gaps(FIRST, posts[:620])
    assert not gaps(FIRST, posts[:633])
    assert len(gaps(FIRST, posts[:634])) == 1


def test_an_outage_within_a_rise_of_wrong_scores_ends_neither():
    posts, low = community(30, 0.1, seed=9)
    low = with_first_readings(posts, low, 600, 670, 0.95)
    posts[630:640] = low[630:640] = 0
    assert [found.kind for found in judge(posts, low)[1]] == ["first_readings"]
    assert [found.kind for found in gaps(FIRST, posts)] == ["gap"]


# --- a break, or a new level ---


@pytest.mark.parametrize("portion", [0.5, 0.95])
def test_a_jump_that_stays_is_a_new_level_and_no_anomaly(portion):
    posts, low = community(30, 0.1, seed=10)
    windows, (found,) = judge(posts, with_first_readings(posts, low, 560, DAYS, portion))
    assert found.kind == "new_level"
    assert abs((found.first - on(560)).days) <= 7
    assert found.last - found.first >= NEW_LEVEL
    assert not any(window.sticks_out for window in windows if window.first > found.last)


def test_a_new_level_is_what_later_periods_are_compared_with():
    posts, low = community(60, 0.1, seed=11, days=5 * 364)
    low = with_first_readings(posts, low, 560, 5 * 364, 0.3)
    low = with_first_readings(posts, low, 1400, 1450, 0.95)
    assert [found.kind for found in judge(posts, low)[1]] == ["new_level", "first_readings"]


def test_a_slow_rise_is_no_anomaly():
    """From a tenth to a third within three years, as communities do."""
    posts, _ = community(60, 0.1, seed=12)
    low = np.random.default_rng(12).binomial(posts, np.linspace(0.1, 0.34, DAYS))
    assert not judge(posts, low)[1]


def test_a_period_is_no_part_of_what_the_next_one_is_compared_with():
    posts, low = community(30, 0.1, seed=13)
    twice = low
    for start in (500, 700):
        twice = with_first_readings(posts, twice, start, start + 60, 1.0)
    windows, found = judge(posts, twice)
    assert [period.kind for period in found] == ["first_readings", "first_readings"]
    assert all(window.expected < 0.15 for window in windows if window.expected is not None)


def test_what_comes_later_changes_no_verdict():
    posts, low = community(12, 0.2, seed=14)
    low = with_first_readings(posts, low, 500, 560, 0.9)
    windows, found = judge(posts, low)
    for until in (600, 700, 850):
        earlier, found_then = judge(posts[:until], low[:until])
        assert found_then == found
        closed = [window for window in earlier if window.last < on(until - 91)]
        assert closed == windows[: len(closed)]


def test_probabilities_beyond_rounding_are_told():
    """Subtracted from 1, they would be 0, or of the wrong sign."""
    from scipy.stats import betabinom

    assert anomalies._at_least(60, 200, 8.0, 72.0) == pytest.approx(betabinom.sf(59, 200, 8.0, 72.0), rel=1e-6)
    assert 0.0 < anomalies._at_least(1_000, 1_000, 10.0, 90.0) < 1e-50
    assert anomalies._at_least(0, 50, 1.0, 9.0) == pytest.approx(1.0)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.past import (
    LONGEST_PAUSE_DAYS,
    MOST_LOG_SCORE,
    History,
    Moments,
    Ordered,
    Quantiles,
    checked_posts,
    codes,
    days_since,
    fixed,
    floating,
    pair_codes,
    ratio,
)

# Few owners and moments, so that ties and returning owners are common; -1 is nobody.
EVENTS = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 12), st.integers(-4, 4)), max_size=30)
QUESTIONS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-2, 14)), max_size=10)


def columns(rows, width):
    return [np.asarray([row[column] for row in rows], dtype=np.int64) for column in range(width)]


def history_of(events):
    owner, moment, _ = columns(events, 3)
    return History(owner, moment, np.arange(len(events)))


@given(EVENTS, QUESTIONS)
def test_a_stretch_holds_what_was_known_of_the_owner_at_the_moment(events, questions):
    history = history_of(events)
    owner, now = columns(questions, 2)
    start, end = history.begin(owner), history.until(owner, now)
    for row, (who, when) in enumerate(questions):
        known = [n for n, event in enumerate(events) if event[0] == who >= 0 and event[1] <= when]
        found = history.order[start[row] : end[row]].tolist()
        assert found == sorted(known, key=lambda n: (events[n][1], n))


@given(EVENTS, QUESTIONS)
def test_sums_spreads_maxima_and_quantiles_of_a_stretch_equal_those_of_numpy(events, questions):
    history = history_of(events)
    values = columns(events, 3)[2] / 3
    owner, now = columns(questions, 2)
    start, end = history.begin(owner), history.until(owner, now)
    moments = Moments.of(history, values)
    median, q90 = Quantiles(history, values).at(start, end, (0.5, 0.9), -7.0)
    highest = history.running_max(columns(events, 3)[2] + 4)
    for row in range(len(questions)):
        stretch = values[history.order[start[row] : end[row]]]
        one = slice(row, row + 1)
        assert moments.total(start[one], end[one])[0] == pytest.approx(stretch.sum(), abs=1e-7)
        if len(stretch):
            assert moments.mean(start[one], end[one])[0] == pytest.approx(stretch.mean(), abs=1e-7)
            assert moments.scatter(start[one], end[one])[0] == pytest.approx(stretch.var() * len(stretch), abs=1e-6)
            assert median[row] == pytest.approx(np.quantile(stretch, 0.5), abs=1e-12)
            assert q90[row] == pytest.approx(np.quantile(stretch, 0.9), abs=1e-12)
            assert (highest[end[row] - 1] - 4) / 3 == stretch.max()
        else:
            assert moments.mean(start[one], end[one], -7.0)[0] == median[row] == q90[row] == -7.0


def test_equal_values_have_no_spread():
    history = History(np.zeros(999, dtype=np.int64), np.arange(999), np.arange(999))
    start, end = np.asarray([0, 5]), np.asarray([999, 700])
    assert Moments.of(history, np.full(999, np.log(7.3))).scatter(start, end).tolist() == [0, 0]


@given(st.lists(st.integers(0, 20), max_size=40), st.data())
def test_order_statistics_equal_those_of_a_sorted_stretch(numbers, data):
    ordered = Ordered(np.asarray(numbers, dtype=np.int64))
    place = st.integers(0, len(numbers))
    asked = [
        (*sorted(pair), bound)
        for pair, bound in data.draw(st.lists(st.tuples(st.tuples(place, place), st.integers(0, 40)), max_size=8))
    ]
    start, end, bound = columns(asked, 3)
    assert ordered.below(start, end, bound).tolist() == [sum(n < b for n in numbers[s:e]) for s, e, b in asked]
    for k in range(5):
        found = ordered.smallest(start, end, np.full(len(asked), k))
        for row, (s, e, _) in enumerate(asked):
            if k < e - s:
                assert found[row] == sorted(numbers[s:e])[k]


@given(st.lists(st.floats(-64, 64), max_size=50), st.randoms(use_true_random=False))
def test_sums_in_fixed_point_do_not_depend_on_the_order(values, random):
    shuffled = random.sample(values, len(values))
    total = fixed(values).sum()
    assert total == fixed(shuffled).sum()
    assert floating(np.asarray([total]))[0] == pytest.approx(sum(values), abs=1e-7)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["p1", "p10", "p2", "q"]), st.integers(0, 3)), max_size=12, unique=True))
def test_places_are_those_by_creation_and_id(rows):
    created = np.asarray([row[1] for row in rows], dtype="datetime64[s]")
    posts = checked_posts([row[0] for row in rows], created, created, np.zeros(len(rows)))
    assert [rows[n] for n in np.argsort(posts.rank)] == sorted(rows, key=lambda row: (row[1], row[0]))
    assert (posts.visible_from > posts.created).all()


def test_names_get_one_number_everywhere_and_nobody_none():
    one, other = codes(["a", None, "b"], ["b", "c", "a"])
    assert (one[0], one[2], one[1]) == (other[2], other[0], -1)
    assert len(set(pair_codes(np.asarray([0, 0, 1, 1]), np.asarray([0, 1, 0, 1]), 2))) == 4
    assert pair_codes(np.asarray([-1, 0]), np.asarray([0, -1]), 1).tolist() == [-1, -1]


def test_a_quotient_by_nothing_is_the_default():
    assert ratio([1, 1], [2, 0], [9, 9]).tolist() == [0.5, 9]


def test_never_is_as_long_ago_as_the_cap():
    now, then = np.asarray([86_400 * 3, 0, 86_400 * 999]), np.asarray([86_400, 0, 0])
    happened = np.asarray([True, False, True])
    assert days_since(now, then, happened).tolist() == [2, LONGEST_PAUSE_DAYS, LONGEST_PAUSE_DAYS]


def test_what_is_no_log_score_is_refused():
    now = np.zeros(1, dtype="datetime64[s]")
    with pytest.raises(ValueError, match="no log scores"):
        checked_posts(["a"], now, now, np.asarray([2 * MOST_LOG_SCORE]))


def test_zero_has_no_sign():
    """-0.0 equals 0.0, so which of two posts comes first would decide which one a maximum shows."""
    now = np.full(2, np.datetime64("2026-01-01", "s"))
    assert not np.signbit(checked_posts(["a", "b"], now, now, np.asarray([-0.0, 0.0])).scores).any()

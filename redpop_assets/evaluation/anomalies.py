"""Periods of a community whose archive is wrong: scores that are first readings, and days without posts.

An archive reads a post the moment it is made, when its score is 1, and once more when it has matured. Where the second
reading failed, the score stays what it was at first, and the share of scores of 1 or less jumps. Where the archive was
down, or the community closed, whole days have no posts. Both are told from the community's own past, after Farrington
et al. 1996 (Journal of the Royal Statistical Society A 159: 547-563), who look for outbreaks in counts of diseases:
what is expected comes from a trailing reference, of which earlier outbreaks are no part, with the variation that it
really has; what is beyond chance counts only if it is also large.

A *break* ends: what comes after it is as before. What stays is no anomaly but a new level, whatever made it.

* Scores. A quarter (13 weeks) is cut into as many windows of whole weeks as have `MIN_LABELS` each, so that no weekly
  cycle is cut and thin communities are never judged by few posts. The share of low scores in a window is compared with
  that of the windows of the two years before by a beta-binomial test (Skellam 1948, Journal of the Royal Statistical
  Society B 10: 257-261; its dispersion by Williams 1982, Applied Statistics 31: 144-148). A run of such windows that
  lasts for more than half a year is a new level: none of it is marked as wrong, and the reference begins anew with it.
* Posts per day. A run of days with hardly a post is compared with what the weeks before it *and* the weeks after it
  would have brought in as many days, whichever is less: a community that has become quiet, and one that has only begun,
  have no gap. The test is a negative binomial one of the sum, its dispersion that of the year around.

False alarms: in a community without anomalies at most `FALSE_ALARMS` of the years have one, of each kind, by
Bonferroni over the windows, or the days and lengths, of a year; the verdict on a period does not depend on how long the
data go on. What an anomaly must be at least, whatever the number of posts, is `FIRST_READINGS` and `MISSING`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Kind = Literal["first_readings", "new_level", "gap"]

LOW_SCORE: Final = 1
"""The score of a post at its first reading: the vote of its author."""

FALSE_ALARMS: Final = 0.01
"""Most years of a community without anomalies in which chance alone marks one, of each kind."""

MIN_LABELS: Final = 50
"""Fewest labels of a window that is judged."""

FIRST_READINGS: Final = 0.25
"""Least share of the posts of a window that would have to be first readings to explain its low scores."""

REFERENCE: Final = timedelta(weeks=104)
"""How far back windows are compared."""

MIN_WINDOWS: Final = 8
"""Fewest windows to compare with."""

NEW_LEVEL: Final = timedelta(weeks=26)
"""A jump that lasts for longer is a new level."""

MISSING: Final = 0.8
"""Least share of the expected posts that a gap lacks: holidays lack less."""

_QUARTER = 13  # weeks
_YEAR = 365.25  # days
_LEVEL_WEEKS = (2, 8)  # fewest and most weeks on each side that say what was to be expected in a gap
_AROUND_WEEKS = 26  # on each side of a gap, for weekdays and variation
_WEEKDAY_POSTS = 10  # added to each weekday, so that few posts do not make a pattern
_MONDAY = 3  # days from 1969-12-29, a Monday, to the epoch
_TO_SIGMA = 1.4826  # from the median absolute deviation of a normal distribution to its standard deviation


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive weeks of labels, and how they compare with the reference.

    Attributes:
        first, last: its days, both included (UTC).
        labels: Labelled posts made in it.
        low: Those with a score of `LOW_SCORE` or less.
        expected: Share of low scores in its reference; None if it is not judged.
        p_value: Probability of as large a share by chance; None if it is not judged.
    """

    first: date
    last: date
    labels: int
    low: int
    expected: float | None = None
    p_value: float | None = None

    @property
    def share(self) -> float:
        """Share of low scores."""
        return self.low / self.labels

    @property
    def first_readings(self) -> float:
        """Share of its posts that must be first readings: of s = f + (1 - f) e the f; 0 if it is not judged."""
        return 0.0 if self.expected is None else _excess(self.share, self.expected)

    @property
    def sticks_out(self) -> bool:
        """Whether its share is beyond chance, and by enough to matter."""
        if self.p_value is None:
            return False
        years = ((self.last - self.first).days + 1) / _YEAR
        return self.first_readings >= FIRST_READINGS and self.p_value <= FALSE_ALARMS * years


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A period in which something is wrong, or from which on a new level holds.

    Attributes:
        kind: "first_readings": low scores are far more frequent, for a while. "new_level": they have become so, for
            good. "gap": days with hardly a post.
        first, last: its days, both included (UTC); of a new level, those that showed it.
        observed, expected: Share of scores of `LOW_SCORE` or less; of a gap, posts per day.
        strength: Share of the posts that must be first readings to explain the difference; of a gap, share of the
            expected posts that it lacks.
        p_value: Probability of it by chance; of several windows, that of the clearest one.
        posts: Labelled posts made in it; of a gap, posts that it lacks.
    """

    kind: Kind
    first: date
    last: date
    observed: float
    expected: float
    strength: float
    p_value: float
    posts: int


def judged_windows(days: npt.NDArray[np.datetime64], labels: Counts, low: Counts) -> tuple[list[Window], list[Anomaly]]:
    """Cut the labels of a community into windows, judge each by those before, and name what sticks out.

    Args:
        days: (n,) datetime64[D], ascending, on which labelled posts were made (UTC).
        labels: (n,) labelled posts of each day.
        low: (n,) those with a score of `LOW_SCORE` or less.

    Returns:
        The windows, by time, those that are too thin to be judged included; and the periods, by time.
    """
    windows: list[Window] = []
    found: list[Anomaly] = []
    reference: list[Window] = []
    run: list[Window] = []
    for window in _cut(days, labels, low):
        judged = _judged(window, [other for other in reference if window.first - other.first <= REFERENCE])
        windows.append(judged)
        if judged.sticks_out:
            run.append(judged)
            if judged.last - run[0].first >= NEW_LEVEL:
                found.append(_of_windows("new_level", run))
                reference, run = run, []
        elif judged.labels >= MIN_LABELS:
            reference.append(judged)
            found += _of_break(run)
            run = []
    return windows, found + _of_break(run)


def gaps(first: date, posts: Counts) -> list[Anomaly]:
    """Runs of days with hardly a post, in a community that has posts before and after.

    Args:
        first: the first day (UTC).
        posts: (n,) posts of it and of all days that follow, zeros included.

    Returns:
        The gaps, by time. Days after the last post are none, nor are those of which two weeks are not over.
    """
    weekday = (np.arange(len(posts)) + first.weekday()) % 7
    usual = _usual(posts)
    found = []
    for start, stop in _runs(posts <= (1.0 - MISSING) * usual):
        before, after = posts[:start], posts[stop:]
        level = min(_level(before[::-1]), _level(after))
        # Even if every day were Poisson, and had no post at all.
        alpha = FALSE_ALARMS / (_YEAR * (stop - start) * (stop - start + 1))
        if 2.0 * level * (stop - start) < -math.log(alpha):  # a weekday has less than twice the mean of its week
            continue
        around = _AROUND_WEEKS * 7
        near = np.r_[max(0, start - around) : start, stop : min(len(posts), stop + around)]
        factors = _weekday_factors(posts[near], weekday[near])
        expected = float(level * factors[weekday[start:stop]].sum())
        observed = int(posts[start:stop].sum())
        lacking = 1.0 - observed / expected
        p_value = _at_most(observed, expected, _dispersion(posts[near], factors[weekday[near]]))
        if lacking >= MISSING and p_value <= alpha:
            days = stop - start
            found.append(
                Anomaly(
                    "gap",
                    first + timedelta(days=start),
                    first + timedelta(days=stop - 1),
                    observed / days,
                    expected / days,
                    lacking,
                    p_value,
                    round(expected - observed),
                )
            )
    return found


def _cut(days: npt.NDArray[np.datetime64], labels: Counts, low: Counts) -> list[Window]:
    """The windows, by time: each ends with the week in which it has `MIN_LABELS`.

    What is left at the end of a quarter joins the last window of it: nothing that comes later moves them.
    """
    if not len(days):
        return []
    weeks = (days.astype("datetime64[D]").astype(np.int64) + _MONDAY) // 7
    newest = int(weeks[-1])

    def between(first: int, last: int) -> Window:
        here = slice(*np.searchsorted(weeks, [first, last + 1]))
        sunday = _monday(last) + timedelta(days=6)
        return Window(_monday(first), sunday, int(labels[here].sum()), int(low[here].sum()))

    windows: list[Window] = []
    for quarter in range(int(weeks[0]) // _QUARTER, newest // _QUARTER + 1):
        start = begins = quarter * _QUARTER
        ends = begins + _QUARTER - 1
        spans = []
        for week in range(begins, min(ends, newest) + 1):
            if between(start, week).labels >= MIN_LABELS:
                spans.append((start, week))
                start = week + 1
        if start <= min(ends, newest):
            joins = bool(spans) and ends <= newest
            spans.append((spans.pop()[0] if joins else start, min(ends, newest)))
        windows += [between(*span) for span in spans]
    return [window for window in windows if window.labels]


def _monday(week: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + 7 * week - _MONDAY)


def _judged(window: Window, reference: Sequence[Window]) -> Window:
    """A window, compared with others; as it is if it, or they, are too few."""
    if window.labels < MIN_LABELS or len(reference) < MIN_WINDOWS:
        return window
    from scipy.special import chdtri

    labels = np.array([other.labels for other in reference], dtype=np.float64)
    low = np.array([other.low for other in reference], dtype=np.float64)
    total = labels.sum()
    share = float((low.sum() + 0.5) / (total + 1.0))
    # The correlation of two posts of a window, by moments: how much more windows differ than chance makes them. Of few
    # windows the moment is a guess, so it is what it may be at most, with three chances in four.
    freedom = len(labels) - 1
    chi_squared = float((labels * np.square(low / labels - share)).sum()) / (share * (1.0 - share))
    chi_squared *= freedom / float(chdtri(freedom, 0.75))
    correlation = max(0.0, chi_squared - freedom) / float(((labels - 1.0) * (1.0 - labels / total)).sum())
    # And that the share of the reference is itself an estimate.
    uncertain = float(np.square(labels).sum() / total**2) * correlation + (1.0 - correlation) / total
    spread = min(correlation + uncertain, 0.5)
    size = 1.0 / spread - 1.0
    p_value = _at_least(window.low, window.labels, share * size, (1.0 - share) * size)
    return replace(window, expected=share, p_value=p_value)


def _at_least(low: int, labels: int, a: float, b: float) -> float:
    """Probability of at least so many low scores, of a beta-binomial; summed up, as differences from 1 end at 1e-16."""
    from scipy.special import betaln

    k = np.arange(low, labels + 1)
    log_p = betaln(k + a, labels - k + b) - betaln(a, b) - betaln(k + 1, labels - k + 1) - math.log(labels + 1)
    return min(1.0, float(np.exp(log_p).sum()))


def _excess(share: float, expected: float) -> float:
    return max(0.0, share - expected) / (1.0 - expected)


def _of_break(run: Sequence[Window]) -> list[Anomaly]:
    return [_of_windows("first_readings", run)] if run else []


def _of_windows(kind: Kind, run: Sequence[Window]) -> Anomaly:
    labels = sum(window.labels for window in run)
    observed = sum(window.low for window in run) / labels
    expected = sum((window.expected or 0.0) * window.labels for window in run) / labels
    p_value = min(window.p_value or 0.0 for window in run)
    return Anomaly(kind, run[0].first, run[-1].last, observed, expected, _excess(observed, expected), p_value, labels)


def _runs(true: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index of each run of true values, and the one after it."""
    edges = np.flatnonzero(np.diff(np.r_[False, true, False].astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _usual(posts: Counts) -> Floats:
    """(n,) posts per day that are usual around each day: the median week of the year around it."""
    whole = len(posts) // 7 * 7
    if not whole:
        return np.zeros(len(posts))
    weeks = _running_median(posts[:whole].reshape(-1, 7).sum(axis=1), _AROUND_WEEKS) / 7.0
    return np.repeat(weeks, 7)[np.minimum(np.arange(len(posts)), whole - 1)]


def _running_median(values: Counts, reach: int) -> Floats:
    """(n,) medians of each value and as many on each side of it, fewer at the ends."""
    return np.array([np.median(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))])


def _level(posts: Counts) -> float:
    """Posts per day in the first weeks of some: of the median week. 0 if there are too few."""
    fewest, most = _LEVEL_WEEKS
    weeks = min(len(posts) // 7, most)
    return float(np.median(posts[: 7 * weeks].reshape(-1, 7).sum(axis=1))) / 7.0 if weeks >= fewest else 0.0


def _weekday_factors(posts: Counts, weekday: npt.NDArray[np.int64]) -> Floats:
    """(7,) what a weekday has in terms of the mean day, Monday first."""
    days = np.bincount(weekday, minlength=7)
    mean = posts.sum() / len(posts)
    by_day = (np.bincount(weekday, weights=posts, minlength=7) + _WEEKDAY_POSTS) / (days * mean + _WEEKDAY_POSTS)
    factors: Floats = by_day * 7.0 / by_day.sum()
    return factors


def _dispersion(posts: Counts, factors: Floats) -> float:
    """Variance of counts in terms of their mean, at least 1: of days or of weeks, whichever is more.

    By the median absolute deviation of Anscombe's transform (1948), whose variance is 1 for a Poisson count, so that
    other gaps and the days of a boom are no part of it; around a level that moves as slowly as that of a gap is known.
    """
    whole = len(posts) // 7 * 7
    weeks = posts[:whole].reshape(-1, 7).sum(axis=1)
    level = _running_median(weeks, _LEVEL_WEEKS[1])
    days = np.repeat(level / 7.0, 7) * factors[:whole]
    found = []
    for counts, expected in ((posts[:whole], days), (weeks, level)):
        away = 2.0 * (np.sqrt(counts + 0.375) - np.sqrt(expected + 0.375))
        found.append(float(_TO_SIGMA * np.median(np.abs(away))) ** 2)
    return max(1.0, *found)


def _at_most(count: int, expected: float, dispersion: float) -> float:
    """Probability of at most so many posts, of a negative binomial with this mean and variance mean · dispersion."""
    from scipy.special import betainc, pdtr

    if dispersion <= 1.0:
        return float(pdtr(count, expected))
    return float(betainc(expected / (dispersion - 1.0), count + 1, 1.0 / dispersion))

"""Which of two posts did better: the comparison that the clock and the community cannot decide.

Two posts of one subreddit, made within hours of each other, had the same audience; what is left is the post. Scores are
fuzzed by about ten points, so only clear differences make a pair (after Hessel, Lee & Mimno 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from redpop_assets.arrays import np, npt


@dataclass(frozen=True, slots=True)
class PairRule:
    """What makes two posts of one subreddit a pair."""

    window: timedelta = timedelta(hours=6)
    """Longest time between their creations."""
    min_ratio: float = 2.0
    """The higher score is at least this many times the lower one; lower scores below 1 count as 1."""
    min_difference: float = 20.0
    """Points that the higher score is above the lower one at least."""
    max_pairs: int = 100_000
    """Where there are more, a random sample of this size is drawn."""
    seed: int = 0
    """Seed of that sample."""


def time_controlled_pairs(
    subreddits: npt.ArrayLike,
    created_at: npt.NDArray[np.datetime64],
    scores: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    rule: PairRule | None = None,
) -> npt.NDArray[np.int64]:
    """Find the pairs of a rule.

    Takes O(n log n) for the sort and, besides, time in proportion to the pairs within the window, of which no more than
    ten times `max_pairs` are looked at: beyond that a random tenth-fold sample of them is, so that the pairs stay a
    fair sample.

    Args:
        subreddits: (n,) names or codes.
        created_at: (n,) datetime64, UTC.
        scores: (n,) raw scores in points.
        groups: (n,) duplicate group of each post; two posts of one group make no pair. None: no groups.
        rule: the rule; None for the default one.

    Returns:
        (m, 2) row numbers, the post with the higher score first; the same input gives the same pairs.

    Raises:
        ValueError: lengths differ, a time is missing or a score is not finite.
    """
    rule = rule or PairRule()
    names, points, times = np.asarray(subreddits), np.asarray(scores, dtype=np.float64), _seconds(created_at)
    if not names.shape == points.shape == times.shape or points.ndim != 1:
        raise ValueError("subreddits, created_at and scores must each have shape (n,)")
    if not np.isfinite(points).all():
        raise ValueError("scores must be finite; leave posts without a label out")
    codes = np.unique(names, return_inverse=True)[1]
    members = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if members is not None and members.shape != points.shape:
        raise ValueError("groups must have one entry per post")

    order = np.lexsort((times, codes))
    first, second = _neighbours(codes[order], times[order], int(rule.window.total_seconds()), rule)
    left, right = order[first], order[second]
    higher = np.where(points[left] >= points[right], left, right)
    lower = left + right - higher
    clear = (points[higher] >= rule.min_ratio * np.maximum(points[lower], 1.0)) & (
        points[higher] - points[lower] >= rule.min_difference
    )
    if members is not None:
        clear &= members[higher] != members[lower]
    pairs = np.stack((higher[clear], lower[clear]), axis=1).astype(np.int64)
    if len(pairs) > rule.max_pairs:
        chosen = np.random.default_rng(rule.seed).choice(len(pairs), rule.max_pairs, replace=False)
        pairs = pairs[np.sort(chosen)]
    return pairs


def pair_accuracy(pairs: npt.NDArray[np.int64], prediction: npt.ArrayLike) -> float | None:
    """Share of the pairs whose better post is predicted to be better; a tie in the prediction counts half.

    Args:
        pairs: (m, 2) row numbers, the better post first.
        prediction: (n,) predicted scores on any increasing scale.

    Returns:
        0 to 1, 0.5 for a constant prediction; None without pairs.

    Raises:
        ValueError: a prediction is not finite.
    """
    return float(pair_outcomes(pairs, prediction).mean()) if len(pairs) else None


def pair_outcomes(pairs: npt.NDArray[np.int64], prediction: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Outcome of each pair, (m,): 1 predicted rightly, 0.5 a tie, 0 wrongly; arguments as for `pair_accuracy`."""
    predicted = np.asarray(prediction, dtype=np.float64)
    if not np.isfinite(predicted).all():
        raise ValueError("predictions must be finite")
    outcomes: npt.NDArray[np.float64] = (np.sign(predicted[pairs[:, 0]] - predicted[pairs[:, 1]]) + 1.0) / 2.0
    return outcomes


def _neighbours(
    codes: npt.NDArray[np.int64], times: npt.NDArray[np.int64], window: int, rule: PairRule
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions, when sorted by subreddit and time, of two posts of a subreddit within the window: all, or a sample."""
    if len(codes) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    # One axis for both: subreddits lie further apart than any window.
    elapsed = times - times.min()
    axis = codes * (int(elapsed.max()) + window + 1) + elapsed
    positions = np.arange(len(axis))
    followers = np.searchsorted(axis, axis + window, side="right") - positions - 1
    ends = np.cumsum(followers)
    total, limit = int(ends[-1]), 10 * rule.max_pairs
    if total <= limit:
        chosen = np.arange(total)
    else:
        chosen = np.unique(np.random.default_rng(rule.seed).integers(total, size=limit))
    first = np.searchsorted(ends, chosen, side="right")
    second = first + 1 + chosen - (ends - followers)[first]
    return first, second


def _seconds(created_at: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    times = np.asarray(created_at, dtype="datetime64[s]")
    if np.isnat(times).any():
        raise ValueError("created_at has missing times")
    return times.astype(np.int64)

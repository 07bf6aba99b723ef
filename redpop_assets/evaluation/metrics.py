"""How well predicted log scores match the true ones.

Every function takes the truth first and the prediction second, as (n,) arrays on the log scale, and judges one
subreddit: the pooled correlation of several says little more than which subreddit is large. A metric that is not
defined is None, never 0 or NaN.
"""

from __future__ import annotations

import math
from typing import Final

from redpop_assets.arrays import np, npt

MIN_POSTS: Final = 3
"""Fewest posts for a correlation."""


def spearman(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float | None:
    """Spearman's rank correlation: Pearson's correlation of the average ranks.

    Returns:
        A value from -1 to 1; None for fewer than `MIN_POSTS` posts or if either side is constant.

    Raises:
        ValueError: lengths differ or a value is not finite.
    """
    true, predicted = _checked(truth, prediction)
    if len(true) < MIN_POSTS:
        return None
    true_ranks = average_ranks(true) - (len(true) + 1) / 2
    predicted_ranks = average_ranks(predicted) - (len(true) + 1) / 2
    spread = float(np.sqrt((true_ranks @ true_ranks) * (predicted_ranks @ predicted_ranks)))
    if spread == 0.0:
        return None
    return min(max(float(true_ranks @ predicted_ranks) / spread, -1.0), 1.0)


def kendall(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float | None:
    """Kendall's tau-b: concordant minus discordant pairs, over the geometric mean of the pairs untied on either side.

    Returns:
        A value from -1 to 1; None for fewer than `MIN_POSTS` posts or if either side is constant.

    Raises:
        ValueError: lengths differ or a value is not finite.
    """
    from scipy.stats import kendalltau

    true, predicted = _checked(truth, prediction)
    if len(true) < MIN_POSTS or np.ptp(true) == 0.0 or np.ptp(predicted) == 0.0:
        return None
    return float(kendalltau(true, predicted).statistic)


def mae(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float | None:
    """Mean absolute error, on the log scale; None without posts. Raises ValueError as `spearman`."""
    true, predicted = _checked(truth, prediction)
    return float(np.abs(true - predicted).mean()) if len(true) else None


def mse(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float | None:
    """Mean squared error, on the log scale; None without posts. Raises ValueError as `spearman`."""
    true, predicted = _checked(truth, prediction)
    return float(((true - predicted) ** 2).mean()) if len(true) else None


def rmse(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float | None:
    """Root of the mean squared error, on the log scale; None without posts. Raises ValueError as `spearman`."""
    squared = mse(truth, prediction)
    return None if squared is None else float(np.sqrt(squared))


def r2(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float | None:
    """Coefficient of determination on the log scale: 1 - sum (y - p)^2 / sum (y - m)^2, with m the mean of these y.

    Returns:
        At most 1, and negative for predictions worse than m; None for fewer than two posts or a constant truth.

    Raises:
        ValueError: lengths differ or a value is not finite.
    """
    true, predicted = _checked(truth, prediction)
    if len(true) < 2 or np.ptp(true) == 0.0:
        return None
    return float(1.0 - ((true - predicted) ** 2).sum() / ((true - true.mean()) ** 2).sum())


def relative_hits(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which predictions are right to 10 %: |p - y| <= 0.1 |y|, in whole points.

    The hit rate of Paul et al., who do not say how they round (choice): both sides are brought back from the log scale
    and rounded, as a score is a whole number. A score of 0 is hit by 0 only.

    Returns:
        (n,) bool.

    Raises:
        ValueError: lengths differ or a value is not finite.
    """
    true, predicted = (np.rint(raw_score(side)) for side in _checked(truth, prediction))
    hits: npt.NDArray[np.bool_] = np.abs(predicted - true) <= 0.1 * np.abs(true) + 1e-9
    return hits


def magnitude_hits(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which predictions have the same order of magnitude: |log10(p / y)| < 1/2, a factor of less than 3.2 in points.

    Paul et al. report such a rate without a definition (choice). Scores below 1 count as 1, as for pairs.

    Returns:
        (n,) bool.

    Raises:
        ValueError: lengths differ or a value is not finite.
    """
    true, predicted = (np.log10(np.maximum(raw_score(side), 1.0)) for side in _checked(truth, prediction))
    hits: npt.NDArray[np.bool_] = np.abs(predicted - true) < 0.5
    return hits


def covered(truth: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which posts lie within their prediction intervals, ends included.

    Args:
        truth, low, high: (n,) log scores.

    Returns:
        (n,) bool.

    Raises:
        ValueError: lengths differ, a value is not finite, or an interval ends below its beginning.
    """
    true, lower = _checked(truth, low)
    _, upper = _checked(truth, high)
    if (upper < lower).any():
        raise ValueError(f"{int((upper < lower).sum())} intervals end below their beginning")
    within: npt.NDArray[np.bool_] = (lower <= true) & (true <= upper)
    return within


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), trials > 0."""
    share, square = successes / trials, z * z / trials
    centre = share + square / 2
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    return (centre - half) / (1 + square), (centre + half) / (1 + square)


def log_score(score: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Log score of raw scores: sign(s) * ln(1 + |s|)."""
    raw = np.asarray(score, dtype=np.float64)
    logged: npt.NDArray[np.float64] = np.sign(raw) * np.log1p(np.abs(raw))
    return logged


def raw_score(log_score: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Score in points of a log score: the inverse of `log_score`, not rounded."""
    logged = np.asarray(log_score, dtype=np.float64)
    raw: npt.NDArray[np.float64] = np.sign(logged) * np.expm1(np.abs(logged))
    return raw


def percentile_rank(reference: npt.ArrayLike, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mid-rank of values among reference scores: the share of the reference below, plus half the share that is equal.

    Args:
        reference: (m,) scores to be ranked among, m >= 1.
        values: (n,) scores to rank; members of the reference or not.

    Returns:
        (n,) from 0 to 1; a median member gets 0.5.

    Raises:
        ValueError: the reference is empty or a value is not finite.
    """
    ordered = np.sort(np.asarray(reference, dtype=np.float64))
    ranked = np.asarray(values, dtype=np.float64)
    if ordered.size == 0:
        raise ValueError("there is nothing to rank among; give at least one reference score")
    if not (np.isfinite(ordered).all() and np.isfinite(ranked).all()):
        raise ValueError("scores to rank must be finite")
    below = np.searchsorted(ordered, ranked, side="left")
    up_to = np.searchsorted(ordered, ranked, side="right")
    rank: npt.NDArray[np.float64] = (below + up_to) / (2.0 * ordered.size)
    return rank


def average_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1 to n; equal values share the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    ranks: npt.NDArray[np.float64] = (last - (sizes - 1) / 2.0)[group]
    return ranks


def _checked(
    truth: npt.ArrayLike, prediction: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    true = np.asarray(truth, dtype=np.float64)
    predicted = np.asarray(prediction, dtype=np.float64)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(f"truth {true.shape} and prediction {predicted.shape} must both have shape (n,)")
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        raise ValueError("truth and prediction must be finite; leave posts without a label out")
    return true, predicted

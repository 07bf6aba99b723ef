"""The metrics of the leaderboard as statistics: on the posts as they are, and on many resamples of them at once.

What `bootstrap` says of Spearman's correlation, means and pairs is said here of all other metrics. A statistic with a
row of ones is the metric itself; with other whole weights it is the metric of the posts written out that often. Where a
metric is not defined, the value is NaN.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation import metrics
from redpop_assets.evaluation.bootstrap import Statistic, Weights, ratio
from redpop_assets.evaluation.metrics import MIN_POSTS

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MOST_FOR_KENDALL: Final = 3_000
"""Posts up to which Kendall's correlation is resampled: its cost grows with the square."""


class _Ties:
    """Sums over the posts of equal value, from the least to the greatest; sorted once for all resamples."""

    def __init__(self, values: Doubles) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(values) else self._order

    def sums(self, cells: Doubles) -> Doubles:
        """(b, n) cells of n posts -> (b, g) sums over g different values."""
        ordered = cells[:, self._order]
        if len(self._starts) == len(self._order):
            return ordered
        added: Doubles = np.add.reduceat(ordered, self._starts, axis=1)
        return added


def of_rows(rows: npt.NDArray[np.int64], statistic: Statistic) -> Statistic:
    """A statistic of some of the posts: it is given their weights only."""
    everyone = np.array_equal(rows, np.arange(len(rows)))
    return lambda weights: statistic(weights if everyone and len(rows) == weights.shape[1] else weights[:, rows])


def kendall_of(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> Statistic:
    """Kendall's tau-b, as `metrics.kendall` (Kendall 1945, "The treatment of ties in ranking problems").

    Over copies of posts it is (w' S w) / sqrt((N^2 - sum of squared sizes of ties) of one side times that of the
    other), S the signs of all pairs. For more than `MOST_FOR_KENDALL` posts only the value on the posts as they are is
    defined.
    """
    true, predicted = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if len(true) > MOST_FOR_KENDALL:
        found = metrics.kendall(true, predicted)
        return _only_as_they_are(np.nan if found is None else found)
    signs = np.sign(true[:, None] - true) * np.sign(predicted[:, None] - predicted)
    ties = _Ties(true), _Ties(predicted)

    def statistic(weights: Weights) -> Doubles:
        total = weights.sum(axis=1) ** 2
        untied = [total - (side.sums(weights) ** 2).sum(axis=1) for side in ties]
        found = ratio(np.einsum("ij,ij->i", weights @ signs, weights), np.sqrt(untied[0] * untied[1]))
        return found if len(true) >= MIN_POSTS else np.full(len(weights), np.nan)

    return statistic


def _only_as_they_are(value: float) -> Statistic:
    return lambda weights: np.where((weights == 1.0).all(axis=1), value, np.nan)


def root_of(statistic: Statistic) -> Statistic:
    """Square root of a statistic, such as RMSE of the mean squared error."""
    return lambda weights: np.sqrt(statistic(weights))


def r2_of(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> Statistic:
    """Coefficient of determination, as `metrics.r2`: the mean is that of the resample."""
    true, predicted = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    squared = (true - predicted) ** 2
    centred = true - true.mean() if len(true) else true  # so that the difference of large sums keeps its digits
    constant = not len(true) or np.ptp(true) == 0.0

    def statistic(weights: Weights) -> Doubles:
        if constant:
            return np.full(len(weights), np.nan)
        spread = weights @ centred**2 - ratio((weights @ centred) ** 2, weights.sum(axis=1))
        return 1.0 - ratio(weights @ squared, np.where(spread > 1e-12, spread, 0.0))

    return statistic


def median_of(values: npt.ArrayLike) -> Statistic:
    """Median of one value per post; of two middle ones the mean."""
    each = np.asarray(values, dtype=np.float64)
    order = np.argsort(each, kind="stable")
    ordered = np.append(each[order], np.nan)  # the place behind the last post: where no post is drawn

    def statistic(weights: Weights) -> Doubles:
        drawn = np.cumsum(weights[:, order], axis=1)
        total = weights.sum(axis=1)
        lower, upper = (
            (drawn <= place[:, None]).sum(axis=1) for place in ((total - 1.0) // 2.0, np.floor(total / 2.0))
        )
        middle: Doubles = (ordered[lower] + ordered[upper]) / 2.0
        return np.where(total > 0.0, middle, np.nan)

    return statistic


def share_of(part: npt.ArrayLike, whole: npt.ArrayLike) -> Statistic:
    """Sum of one value per post over the sum of another: precision, recall and F1 are such shares."""
    above, below = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return lambda weights: ratio(weights @ above, weights @ below)


def roc_auc_of(positive: Flags, score: npt.ArrayLike) -> Statistic:
    """Area under the ROC curve: how often a positive post scores above a negative one, ties half.

    The Mann-Whitney statistic (Hanley & McNeil 1982). NaN where a class is not drawn.
    """
    hit = np.asarray(positive, dtype=np.float64)
    ties = _Ties(np.asarray(score, dtype=np.float64))

    def statistic(weights: Weights) -> Doubles:
        hits, misses = ties.sums(weights * hit), ties.sums(weights * (1.0 - hit))
        below = np.cumsum(misses, axis=1) - misses / 2.0
        return ratio((hits * below).sum(axis=1), hits.sum(axis=1) * misses.sum(axis=1))

    return statistic


def average_precision_of(positive: Flags, score: npt.ArrayLike) -> Statistic:
    """Area under the precision-recall curve as average precision: sum over thresholds of (R_n - R_(n-1)) P_n.

    No interpolation between thresholds, as scikit-learn's `average_precision_score` (Davis & Goadrich 2006 on why not).
    A guess reaches the share of positives. NaN where no positive post is drawn.
    """
    hit = np.asarray(positive, dtype=np.float64)
    ties = _Ties(-np.asarray(score, dtype=np.float64))

    def statistic(weights: Weights) -> Doubles:
        hits, drawn = ties.sums(weights * hit), ties.sums(weights)
        precision = ratio(np.cumsum(hits, axis=1), np.cumsum(drawn, axis=1))
        return ratio((hits * np.nan_to_num(precision)).sum(axis=1), hits.sum(axis=1))

    return statistic


def ndcg_of(gain: npt.ArrayLike, prediction: npt.ArrayLike, k: int) -> Statistic:
    """Normalised discounted cumulative gain of the first k posts by prediction (Järvelin & Kekäläinen 2002).

    The i-th place counts 1 / log2(1 + i); posts of equal prediction share their places (McSherry & Najork 2008).
    Divided by what the order of the gains itself reaches. NaN for fewer than k posts: all orders would be alike.

    Args:
        gain: (n,) what each post is worth, at least 0.
        prediction: (n,) predicted scores on any increasing scale.
        k: places that count.
    """
    worth = np.asarray(gain, dtype=np.float64)
    found, ideal = (_Ties(-np.asarray(by, dtype=np.float64)) for by in (prediction, worth))
    counts = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])

    def reached(ties: _Ties, weights: Weights) -> Doubles:
        return _gain_of_places(ties, weights, worth, lambda places: counts[np.minimum(places, k).astype(np.int64)])

    def statistic(weights: Weights) -> Doubles:
        enough = weights.sum(axis=1) >= k
        return np.where(enough, ratio(reached(found, weights), reached(ideal, weights)), np.nan)

    return statistic


def precision_at_share_of(relevant: Flags, prediction: npt.ArrayLike, share: float) -> Statistic:
    """Share of relevant posts among those of highest prediction: `share` of all posts, rounded, at least one.

    Posts of equal prediction share their places, so that a constant prediction gets the share of relevant posts.
    """
    worth = np.asarray(relevant, dtype=np.float64)
    ties = _Ties(-np.asarray(prediction, dtype=np.float64))

    def statistic(weights: Weights) -> Doubles:
        first = np.maximum(1.0, np.rint(share * weights.sum(axis=1)))
        found = _gain_of_places(ties, weights, worth, lambda places: np.minimum(places, first[:, None]))
        return np.where(weights.sum(axis=1) > 0.0, found / first, np.nan)

    return statistic


def _gain_of_places(ties: _Ties, weights: Weights, worth: Doubles, count: Callable[[Doubles], Doubles]) -> Doubles:
    """Sum over groups of equal posts, best first, of their mean worth times what their places count.

    `count` says what the first so many places count together.
    """
    drawn = ties.sums(weights)
    last = np.cumsum(drawn, axis=1)
    mean = np.nan_to_num(ratio(ties.sums(weights * worth), drawn))
    total: Doubles = (mean * (count(last) - count(last - drawn))).sum(axis=1)
    return total

"""How sure a metric is: percentile intervals from resampling whole authors.

Posts of one author resemble each other, so authors are drawn, not posts (cluster bootstrap; Davison & Hinkley 1997,
section 3.8). A resample is a row of weights: how often each post was drawn. A statistic maps many such rows to values
at once, without sorting or copying the posts again for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.metrics import MIN_POSTS

Weights: TypeAlias = "npt.NDArray[np.float64]"
Statistic: TypeAlias = "Callable[[Weights], npt.NDArray[np.float64]]"
"""Maps weights (b, n) of n posts to b values; NaN where the statistic is not defined on a resample."""

_CELLS_AT_ONCE = 100_000  # weights held at a time: 0.8 MB, so that what is made of them stays in the cache


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic with its percentile interval."""

    estimate: float
    """On the posts as they are."""
    low: float
    high: float
    level: float
    """Coverage aimed at, such as 0.95."""
    resamples: int
    """Resamples on which the statistic was defined."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A statistic of one predictor minus that of another, on the same resamples."""

    interval: Interval
    p_value: float
    """Two-sided: twice the smaller share of resamples (plus one) on either side of 0, at most 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """A statistic on the posts as they are, and on every resample; NaN where it is not defined."""

    estimate: float
    values: npt.NDArray[np.float64]

    @property
    def standard_error(self) -> float | None:
        """Deviation over the resamples (Efron & Tibshirani 1993, chapter 6); None if hardly any of them defines it."""
        defined = self.values[np.isfinite(self.values)]
        if not np.isfinite(self.estimate) or 2 * len(defined) < len(self.values) or len(defined) < 2:
            return None
        return float(defined.std(ddof=1))

    def interval(self, level: float = 0.95) -> Interval | None:
        """Bounds by the percentiles of the resamples; None if the statistic is undefined, or on most of them."""
        defined = self.values[np.isfinite(self.values)]
        if not np.isfinite(self.estimate) or 2 * len(defined) < len(self.values):
            return None
        low, high = np.quantile(defined, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
        return Interval(self.estimate, float(low), float(high), level, len(defined))


def replicate(
    statistics: Sequence[Statistic], clusters: npt.NDArray[np.int64], *, resamples: int = 1_000, seed: int = 0
) -> list[Replicates]:
    """Compute many statistics on the same resamples of clusters: their differences are then paired.

    Args:
        statistics: for example the metrics of all predictors.
        clusters, resamples, seed: as for `interval`.

    Returns:
        One per statistic; with fewer than two clusters no resample defines anything.

    Raises:
        ValueError: resamples is not positive.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be positive, not {resamples}")
    ones = np.ones((1, len(clusters)))
    estimates = [float(statistic(ones)[0]) for statistic in statistics]
    if len(np.unique(clusters)) < 2:
        return [Replicates(estimate, np.full(resamples, np.nan)) for estimate in estimates]
    parts = [
        [statistic(weights) for statistic in statistics] for weights in resampled_weights(clusters, resamples, seed)
    ]
    return [
        Replicates(estimate, np.concatenate(values))
        for estimate, values in zip(estimates, zip(*parts, strict=True), strict=True)
    ]


def author_clusters(authors: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Number the clusters, (n,) from 0: posts of one author share a number, a post without an author is alone."""
    numbers: dict[str | int, int] = {}
    return np.asarray(
        [numbers.setdefault(row if author is None else author, len(numbers)) for row, author in enumerate(authors)],
        dtype=np.int64,
    )


def interval(
    statistic: Statistic,
    clusters: npt.NDArray[np.int64],
    *,
    resamples: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Bound a statistic by the percentiles of its values on resampled clusters.

    Args:
        statistic: the statistic, such as `spearman_of(truth, prediction)`.
        clusters: (n,) cluster number of each post, as of `author_clusters`.
        resamples: number of resamples.
        level: coverage.
        seed: the same seed gives the same resamples.

    Returns:
        The interval; None if the statistic is not defined on the posts, or on fewer than half of the resamples, or if
        there are fewer than two clusters.

    Raises:
        ValueError: level is not between 0 and 1 or resamples is not positive.
    """
    _check_level(level)
    return replicate((statistic,), clusters, resamples=resamples, seed=seed)[0].interval(level)


def paired_difference(
    first: Statistic,
    second: Statistic,
    clusters: npt.NDArray[np.int64],
    *,
    resamples: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference | None:
    """Bound `first` minus `second`, both computed on the same resamples.

    Arguments, errors and None as for `interval`. The first predictor is better beyond chance only if its interval
    leaves 0 out.
    """
    _check_level(level)
    one, other = replicate((first, second), clusters, resamples=resamples, seed=seed)
    difference = Replicates(one.estimate - other.estimate, one.values - other.values)
    bounds = difference.interval(level)
    if bounds is None:
        return None
    defined = difference.values[np.isfinite(difference.values)]
    smaller = min(int((defined <= 0.0).sum()), int((defined >= 0.0).sum()))
    return Difference(bounds, min(1.0, 2.0 * (smaller + 1) / (len(defined) + 1)))


def spearman_of(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> Statistic:
    """Spearman's rank correlation with average ranks, as `metrics.spearman`, as a statistic.

    Args:
        truth: (n,) log scores.
        prediction: (n,) predictions.

    Returns:
        The statistic; NaN where truth or prediction is constant, and for fewer than `MIN_POSTS` posts.
    """
    rank_truth = _weighted_ranks(np.asarray(truth, dtype=np.float64))
    rank_prediction = _weighted_ranks(np.asarray(prediction, dtype=np.float64))

    def statistic(drawn: Weights) -> npt.NDArray[np.float64]:
        middle = (drawn.sum(axis=1, keepdims=True) + 1.0) / 2.0
        a, b = rank_truth(drawn) - middle, rank_prediction(drawn) - middle
        covariance = np.einsum("ij,ij,ij->i", drawn, a, b)
        spread = np.sqrt(np.einsum("ij,ij,ij->i", drawn, a, a) * np.einsum("ij,ij,ij->i", drawn, b, b))
        defined = (spread > 0.0) & (drawn.shape[1] >= MIN_POSTS)
        correlation = np.full(len(drawn), np.nan)
        correlation[defined] = np.clip(covariance[defined] / spread[defined], -1.0, 1.0)
        return correlation

    return statistic


def mean_of(values: npt.ArrayLike) -> Statistic:
    """Mean of one value per post, for example of absolute errors, as a statistic."""
    each = np.asarray(values, dtype=np.float64)
    return lambda drawn: ratio(drawn @ each, drawn.sum(axis=1))


def pair_accuracy_of(pairs: npt.NDArray[np.int64], outcomes: npt.NDArray[np.float64]) -> Statistic:
    """Accuracy on pairs, as a statistic: a pair is drawn as often as its first post times its second.

    Args:
        pairs: (m, 2) row numbers.
        outcomes: (m,) 1, 0.5 or 0, from `pairs.pair_outcomes`.

    Returns:
        The statistic; NaN where no pair is drawn.
    """

    from scipy.sparse import csr_array

    # One row per post that is the better of some pair, one column per other post: products of sparse and dense matrices
    # do for all resamples at once what looking up the weights of each pair would do slowly.
    better, row = np.unique(pairs[:, 0], return_inverse=True)
    worse, column = np.unique(pairs[:, 1], return_inverse=True)
    shape = (len(better), len(worse))
    drawn = csr_array((np.ones(len(pairs)), (row, column)), shape=shape)
    right = csr_array((np.asarray(outcomes, dtype=np.float64), (row, column)), shape=shape)

    def statistic(weights: Weights) -> npt.NDArray[np.float64]:
        first, second = weights[:, better].T, np.ascontiguousarray(weights[:, worse].T)
        return ratio(*(np.einsum("ij,ij->j", first, matrix @ second) for matrix in (right, drawn)))

    return statistic


def _weighted_ranks(values: npt.NDArray[np.float64]) -> Callable[[Weights], npt.NDArray[np.float64]]:
    """Average ranks of the values when each occurs as often as its weight says; sorted once for all resamples."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(values) else np.zeros(0, dtype=np.int64)
    group = np.unique(values, return_inverse=True)[1]

    def ranks(weights: Weights) -> npt.NDArray[np.float64]:
        if not len(starts):
            return weights
        sizes = weights[:, order]
        if len(starts) < len(order):
            sizes = np.add.reduceat(sizes, starts, axis=1)
        average: npt.NDArray[np.float64] = (np.cumsum(sizes, axis=1) - (sizes - 1.0) / 2.0)[:, group]
        return average

    return ranks


def resampled_weights(clusters: npt.NDArray[np.int64], resamples: int, seed: int) -> Iterator[Weights]:
    """Weights (b, n) of n posts on `resamples` resamples of their clusters, some at a time."""
    cluster = np.unique(clusters, return_inverse=True)[1]
    for times in drawn_clusters(clusters, resamples, seed, cells=_CELLS_AT_ONCE):
        yield times[:, cluster].astype(np.float64)


def drawn_clusters(
    clusters: npt.NDArray[np.int64], resamples: int, seed: int, *, cells: int
) -> Iterator[npt.NDArray[np.int64]]:
    """How often each cluster is drawn on each resample; the same for a seed, however many resamples come at a time.

    Args:
        clusters: (n,) cluster number of each post.
        resamples: number of resamples.
        seed: of the drawing.
        cells: most weights of posts, b times n, that the caller wants to hold at a time.

    Yields:
        (b, g) for the g clusters in ascending order.
    """
    count = len(np.unique(clusters))
    at_once = max(1, min(resamples, cells // len(clusters)))
    random = np.random.default_rng(seed)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn = random.integers(count, size=(size, count)) + np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Quotient, NaN where the denominator is not above 0."""
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    quotient: npt.NDArray[np.float64] = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0.0)
    return quotient

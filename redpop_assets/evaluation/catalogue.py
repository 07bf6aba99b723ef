"""The feature catalogue: what each feature is, how often it is known, and how it goes with the score by itself.

What a feature means is read from the schema; what it is worth is measured within one subreddit. A single correlation
says little of what a predictor makes of a feature, but a lot of features that should not be there: one that alone goes
with the score more closely than all published predictors do was probably known only afterwards.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.evaluation.bootstrap import drawn_clusters, ratio
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.storage.schema import Column, Schema, Table

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Clusters = npt.NDArray[np.int64]

SUSPICIOUS: Final = 0.5
"""Size of a rank correlation with the score that no honest feature is known to reach alone."""

FOLDS: Final = 5
"""Parts of the authors; what is said of one part was fitted on the others."""

EXPLAINED: Final = 0.1
"""Share of the variance that a vector is taken to explain: sets how far its ridge regression shrinks."""

LINEAR_FROM: Final = 5_000
"""Posts from which on the ranking of a resample is replaced by the influence of each post on the correlation.

Against ranks taken anew, the ends of intervals move by up to 0.0014 where posts are spread over thousands of authors,
and by up to 0.006 where few made most of them (5,000 to 20,000 posts, correlations from 0 to 0.95): about a tenth of
half their width at most.
"""

_LEVEL = 0.95
_VARIES = 1e-6  # deviation from which on a component counts
_ROWS_AT_ONCE = 10_000  # posts of which vectors are held as doubles
_CELLS_AT_ONCE = 500_000  # weights held at a time: 2 MB, the size of a cache
_BY_CHANCE = 0.05  # chance that any of the honest features is suspicious


class FeatureBlock(Protocol):
    """What the catalogue needs of a block of columns; `redpop_assets.predictors.dataset.Block` is one."""

    @property
    def values(self) -> Floats:
        """(n, d) float32, NaN where unknown."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The d names; the components of a vector are called after its column: `hour_onehot_07`."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation with its percentile interval; the ends are None where resamples hardly ever define it."""

    spearman: float
    low: float | None
    high: float | None


def feature_catalogue(
    subreddit: str,
    blocks: Mapping[str, FeatureBlock],
    labels: npt.NDArray[np.floating[Any]],
    clusters: Clusters,
    schema: Schema,
    tables: Mapping[str, str],
    *,
    groups: Clusters | None = None,
    tried: int | None = None,
    resamples: int = 1_000,
    seed: int = 0,
    leave_out: Collection[str] = (),
) -> pa.Table:
    """Describe and measure features of a subreddit; all blocks at once, or one after the other with the same result.

    A number is correlated as it is. A vector is first made one number per post: the prediction of a ridge regression
    that was not fitted on the post's author (`out_of_fold`). The largest of its 512 correlations would be large by
    selection alone, and a signal that is spread over them would be missed. Where another column says that a number is
    only a placeholder (`Column.missing`), it counts as missing.

    Args:
        subreddit: name in lower case.
        blocks: block name -> its columns for the n posts of the subreddit, labelled or not. Columns that training is
            not offered may be absent; they are listed without numbers.
        labels: (n,) matured log scores, NaN for posts without one.
        clusters: (n,) cluster number of each post, as of `bootstrap.author_clusters`.
        schema: of the warehouse.
        tables: block name -> the table it is read from.
        groups: (n,) number of the picture of each post, so that no ridge regression is asked about a picture that it
            was fitted on; None if no two posts share one.
        tried: features among which a suspicious one is looked for; None for those of these blocks.
        resamples: bootstrap resamples of the clusters; all features see the same.
        seed: of the resamples and of the folds.
        leave_out: features that are listed without being measured.

    Returns:
        Rows of marts.feature_catalogue, in the order of blocks and columns.

    Raises:
        ValueError: a block, the labels and the clusters differ in length, or a label is infinite.
        KeyError: a block has no table.
    """
    truth = np.asarray(labels, dtype=np.float64)
    if np.isinf(truth).any():
        raise ValueError("labels must be finite, or NaN where there is none")
    rows: list[dict[str, Any]] = []
    numbers: list[Numbers] = []
    for name, block in blocks.items():
        if not len(block.values) == len(truth) == len(clusters):
            raise ValueError(
                f"block {name} has {len(block.values)} posts, but there are {len(truth)} labels and {len(clusters)} "
                "clusters"
            )
        table = schema[tables[name]]
        values = feature_values(block, table)
        for column in table.features:
            measured = truth if column.name not in leave_out else np.full(len(truth), np.nan)
            number, row = _measure(column, table, values, measured, clusters, groups, seed)
            if column.name in leave_out:
                number = measured
            rows.append({"subreddit": subreddit, "block": name, **row})
            numbers.append(number)
    found = rank_correlations(numbers, truth, clusters, resamples=resamples, seed=seed)
    if tried is None:
        tried = sum(correlation is not None for correlation in found)
    for row, number, correlation in zip(rows, numbers, found, strict=True):
        authors = len(np.unique(clusters[~np.isnan(number) & ~np.isnan(truth)]))
        row.update(_verdict(correlation, row["known_at"], authors, tried))
    rows = [row for _, members in groupby(rows, lambda row: row["block"]) for row in ranked_in_block(members)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def feature_values(block: FeatureBlock, table: Table) -> dict[str, Floats]:
    """The columns of a block as the table has them: column -> (n,) numbers, or (n, k) vectors put together again.

    Columns that the block does not have are left out.
    """
    position = {name: index for index, name in enumerate(block.columns)}
    numbers = {column.name for column in table.columns if column.type == "FLOAT"}
    values: dict[str, Floats] = {}
    for column in table.features:
        if column.name in numbers:
            if column.name in position:
                values[column.name] = block.values[:, position[column.name]]
            continue
        component = re.compile(rf"{re.escape(column.name)}_\d+")
        at = [index for name, index in position.items() if component.fullmatch(name) and name not in numbers]
        if at:  # side by side as a rule, and then not copied
            together = at == list(range(at[0], at[0] + len(at)))
            values[column.name] = block.values[:, slice(at[0], at[-1] + 1) if together else at]
    return values


def out_of_fold(
    vectors: npt.NDArray[np.floating[Any]],
    truth: Numbers,
    clusters: Clusters,
    *,
    groups: Clusters | None = None,
    seed: int = 0,
) -> Numbers | None:
    """What a ridge regression on the other authors, and on other pictures, says of each post.

    The clusters are dealt into `FOLDS` folds. Components are standardised by the posts fitted on. The penalty is that
    of k independent effects which together explain `EXPLAINED` of the variance, k (1 - h) / h (best linear unbiased
    prediction; Hoerl & Kennard 1970 for ridge regression): one solution per fold instead of a search, and ranks hardly
    depend on it. A prediction has no intercept. The mean of the posts fitted on is high exactly where that of the
    others is low, so that predictions with it would correlate negatively with a truth they know nothing of.

    The products of all components are summed up once, `_ROWS_AT_ONCE` posts at a time, and those of the posts that a
    fold must not see are taken off: it takes n k (k + 1) multiplications twice, and k² numbers of memory.

    Args:
        vectors: (n, k), no value missing.
        truth: (n,) log scores.
        clusters: (n,) cluster numbers.
        groups: (n,) numbers of the pictures; None if no two posts share one.
        seed: of the dealing.

    Returns:
        (n,) predictions, differences from a mean; None with fewer clusters than folds.
    """
    labels, cluster = np.unique(clusters, return_inverse=True)
    if len(labels) < FOLDS:
        return None
    fold = (np.random.default_rng(seed).permutation(len(labels)) % FOLDS)[cluster]
    predictions = np.zeros(len(truth))
    everything = None if vectors.shape[1] > len(truth) else _Moments.of(vectors, truth, np.arange(len(truth)))
    for part in range(FOLDS):
        held = fold == part
        fitted = ~held if groups is None else ~held & ~np.isin(groups, groups[held])
        if not fitted.any():
            continue
        if everything is None or vectors.shape[1] > fitted.sum():
            predictions[held] = _dual_ridge(vectors, truth, fitted, held)
            continue
        moments = everything.without(_Moments.of(vectors, truth, np.flatnonzero(~fitted), everything.origin))
        for rows, said in moments.ridge(vectors, np.flatnonzero(held)):
            predictions[rows] = said
    return predictions


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Sums over n posts of their k components, less an origin, and of their scores, and of the products of both."""

    origin: Numbers
    n: int
    sums: Numbers
    score: float
    products: Numbers
    with_score: Numbers

    @classmethod
    def of(
        cls, vectors: npt.NDArray[np.floating[Any]], truth: Numbers, rows: Clusters, origin: Numbers | None = None
    ) -> Self:
        """Those of some rows; about their mean unless an origin is given."""
        k = vectors.shape[1]
        if origin is None:
            origin = vectors.mean(axis=0, dtype=np.float64)
        sums, score, products, with_score = np.zeros(k), 0.0, np.zeros((k, k)), np.zeros(k)
        for chunk in _chunks(rows):
            components = vectors[chunk] - origin
            sums += components.sum(axis=0)
            score += float(truth[chunk].sum())
            products += components.T @ components
            with_score += components.T @ truth[chunk]
        return cls(origin, len(rows), sums, score, products, with_score)

    def without(self, other: "_Moments") -> "_Moments":
        """Those of the posts that are not among the others, which have the same origin."""
        return _Moments(
            self.origin,
            self.n - other.n,
            self.sums - other.sums,
            self.score - other.score,
            self.products - other.products,
            self.with_score - other.with_score,
        )

    def ridge(
        self, vectors: npt.NDArray[np.floating[Any]], rows: Clusters
    ) -> Iterator[tuple[Clusters, Numbers | float]]:
        """What the regression on these posts says of others, some rows at a time; 0 where no component varies."""
        mean = self.sums / self.n
        covariance = self.products - self.n * np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(covariance.diagonal(), 0.0) / self.n)
        varied = deviation > _VARIES
        if not varied.any():
            yield rows, 0.0
            return
        scale = deviation[varied]
        known = covariance[np.ix_(varied, varied)] / np.outer(scale, scale)
        target = (self.with_score - mean * self.score)[varied] / scale
        weights = np.zeros(len(mean))
        weights[varied] = np.linalg.solve(known + _penalty(len(scale)) * np.eye(len(scale)), target) / scale
        for chunk in _chunks(rows):
            yield chunk, (vectors[chunk] - self.origin - mean) @ weights


def _dual_ridge(
    vectors: npt.NDArray[np.floating[Any]],
    truth: Numbers,
    fitted: npt.NDArray[np.bool_],
    held: npt.NDArray[np.bool_],
) -> Numbers | float:
    """The same of more components than posts, from the products of posts; these are few."""
    learnt = vectors[fitted].astype(np.float64)
    mean, deviation = learnt.mean(axis=0), learnt.std(axis=0)
    varied = deviation > _VARIES
    if not varied.any():
        return 0.0
    known, new = ((vectors[rows][:, varied] - mean[varied]) / deviation[varied] for rows in (fitted, held))
    target = truth[fitted] - truth[fitted].mean()
    n, k = known.shape
    said: Numbers = new @ (known.T @ np.linalg.solve(known @ known.T + _penalty(k) * np.eye(n), target))
    return said


def _penalty(k: int) -> float:
    return k * (1.0 - EXPLAINED) / EXPLAINED


def _chunks(rows: Clusters) -> Iterator[Clusters]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]


def rank_correlations(
    features: Sequence[Numbers], truth: Numbers, clusters: Clusters, *, resamples: int = 1_000, seed: int = 0
) -> list[Correlation | None]:
    """Spearman's correlation of each feature with the truth, with 95 % intervals from resampled clusters.

    The same as `bootstrap.interval` of `bootstrap.spearman_of` for each feature alone, with ranks taken anew on every
    resample; but all features share the resamples, from which posts without the feature are left out, and the ranks of
    the truth.

    From `LINEAR_FROM` posts on, what a resample does to Fisher's z of a correlation is taken to be the sum of what each
    post in it does by itself: the influence function stands for the ranking (Efron & Tibshirani 1993, chapter 22). That
    takes one sorting per feature and one product of matrices for all resamples, which are the same ones. Where n posts
    have g authors, it grows with n log n and with `resamples` times g.

    Args:
        features: (n,) numbers each, NaN where unknown.
        truth: (n,) log scores, NaN where unknown.
        clusters: (n,) cluster numbers.
        resamples, seed: as for `bootstrap.interval`.

    Returns:
        One correlation per feature, over the posts on which feature and truth are known; None if there are fewer than
        three of them or if either side is constant.
    """
    labelled = np.flatnonzero(~np.isnan(truth))
    found: list[Correlation | None] = []
    alike: dict[bytes, list[int]] = defaultdict(list)  # features that are known for the same posts
    for number, feature in enumerate(features):
        known = ~np.isnan(feature[labelled])
        estimate = spearman(truth[labelled][known], feature[labelled][known])
        found.append(None if estimate is None else Correlation(estimate, None, None))
        if estimate is not None:
            alike[known.tobytes()].append(number)
    if len(np.unique(clusters[labelled])) < 2:
        return found
    values = np.full((len(features), resamples), np.nan)
    cluster = np.unique(clusters[labelled], return_inverse=True)[1]
    groups: list[_Resampled | _Linear] = []
    for mask, numbers in alike.items():
        known = np.frombuffer(mask, dtype=np.bool_)
        posts = labelled[known]
        kind = _Linear if len(posts) >= LINEAR_FROM else _Resampled
        groups.append(kind(numbers, cluster[known], truth[posts], [features[number][posts] for number in numbers]))
    held = max((group.cells for group in groups), default=1)
    cells = max(1, _CELLS_AT_ONCE // held) * len(labelled)
    start = 0
    for times in drawn_clusters(clusters[labelled], resamples, seed, cells=cells):
        for group in groups:
            for number, drawn in group.correlations(times):
                values[number, start : start + len(times)] = drawn
        start += len(times)
    for number, correlation in enumerate(found):
        defined = values[number][np.isfinite(values[number])]
        if correlation is not None and 2 * len(defined) >= resamples:
            low, high = np.quantile(defined, ((1.0 - _LEVEL) / 2.0, (1.0 + _LEVEL) / 2.0))
            found[number] = Correlation(correlation.spearman, float(low), float(high))
    return found


def _measure(
    column: Column,
    table: Table,
    values: Mapping[str, Floats],
    truth: Numbers,
    clusters: Clusters,
    groups: Clusters | None,
    seed: int,
) -> tuple[Numbers, dict[str, Any]]:
    """One number per post for the correlation, NaN where there is none, and what is known of the column without it."""
    found = values.get(column.name)
    number = np.full(len(truth), np.nan)
    known = np.zeros(len(truth), dtype=np.bool_)
    if found is not None:
        known = _complete(found)
        if column.missing is not None and column.missing.flag in values:
            known &= values[column.missing.flag] != column.missing.value
    usable = known & ~np.isnan(truth)
    vector = column.type != "FLOAT"
    if found is not None and not vector:
        number[known] = found[known]
    elif found is not None and usable.any():
        shared = None if groups is None else groups[usable]
        vectors = found if usable.all() else found[usable]  # a copy of all vectors would be as large as they are
        predicted = out_of_fold(vectors, truth[usable], clusters[usable], groups=shared, seed=seed)
        if predicted is not None:
            number[usable] = predicted
    return number, {
        "feature": column.name,
        "table_name": table.name,
        "known_at": column.known_at,
        "description": column.description,
        "unit": column.unit,
        "source": column.source,
        "type": column.type,
        "width": None if found is None else found.shape[1] if found.ndim == 2 else 1,
        "posts": int(known.sum()),
        "missing_share": None if found is None or not len(known) else float(1.0 - known.mean()),
        "labelled_posts": int(usable.sum()),
        "method": "out_of_fold_ridge" if vector else "value",
    }


def _complete(values: Floats) -> npt.NDArray[np.bool_]:
    """(n,) which of n numbers are known, or of (n, k) vectors all components."""
    if values.ndim == 1:
        return np.asarray(~np.isnan(values), dtype=np.bool_)
    found = np.ones(len(values), dtype=np.bool_)
    for rows in _chunks(np.arange(len(values))):
        found[rows] = ~np.isnan(values[rows]).any(axis=1)
    return found


def _verdict(correlation: Correlation | None, known_at: str | None, authors: int, tried: int) -> dict[str, Any]:
    """The correlation of a row, and whether it is one that an honest feature can have.

    The bound is `SUSPICIOUS`, or what the largest of `tried` correlations without any effect reaches by chance in one
    case of twenty: Fisher's z with the authors as observations, each on the safe side.
    """
    from scipy.special import ndtri

    bound = None
    if correlation is not None:
        extreme = float(-ndtri(_BY_CHANCE / (2.0 * max(tried, 1))))
        bound = max(SUSPICIOUS, math.tanh(extreme / math.sqrt(authors - 3)) if authors > 3 else 1.0)
    suspicious = correlation is not None and bound is not None and abs(correlation.spearman) > bound
    return {
        "spearman": None if correlation is None else correlation.spearman,
        "spearman_low": None if correlation is None else correlation.low,
        "spearman_high": None if correlation is None else correlation.high,
        "leakage": "after_post" if known_at == "after_post" else "suspicious" if suspicious else "none",
        "suspicious_above": bound,
    }


def ranked_in_block(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a block, each with its rank by the size of its correlation; the earlier column wins a tie."""
    members = list(rows)
    measured = sorted((row for row in members if row["spearman"] is not None), key=lambda row: -abs(row["spearman"]))
    places = {row["feature"]: place for place, row in enumerate(measured, start=1)}
    return [{**row, "rank_in_block": places.get(row["feature"])} for row in members]


class _Ties:
    """Average ranks of n values on many resamples at once; sorted once.

    Weights are (n, b) float32, how often each value is drawn on each of b resamples. Ranks are divided by the number
    of values drawn, so that sums keep their digits.
    """

    def __init__(self, values: Numbers) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        first = np.r_[True, ordered[1:] != ordered[:-1]]
        self._starts = np.flatnonzero(first)
        self._group = np.empty(len(values), dtype=np.int64)
        self._group[self._order] = np.cumsum(first) - 1

    def _summed(self, cells: Floats) -> Floats:
        """(g, b) sums over equal values, ascending."""
        ordered = cells[self._order]
        if len(self._starts) == len(self._order):
            return ordered
        return np.add.reduceat(ordered, self._starts, axis=0)

    def _middle_ranks(self, sizes: Floats, count: Floats) -> Floats:
        """(g, b) average ranks minus one half, as a share of the values drawn."""
        ranks = np.cumsum(sizes, axis=0)
        ranks -= sizes / 2
        ranks /= count
        return ranks

    def ranks(self, drawn: Floats, count: Floats) -> tuple[Floats, Floats]:
        """(n, b) ranks from -1/2 to 1/2, and (b,) their spread, twelve times the variance."""
        sizes = self._summed(drawn)
        return (self._middle_ranks(sizes, count) - 0.5)[self._group], self._spread(sizes, count)

    def correlation(self, drawn: Floats, weighted: Floats, count: Floats, spread: Floats) -> Floats:
        """(b,) correlations with ranks, of which `weighted` are the products with the weights; NaN where undefined."""
        sizes = self._summed(drawn)
        # The weighted ranks of the other side sum to 0, so these need not be centred.
        covariance = 12.0 * np.einsum("ij,ij->j", self._middle_ranks(sizes, count), self._summed(weighted)) / count
        both = np.sqrt(self._spread(sizes, count) * spread)
        ratio = np.divide(covariance, both, out=np.full(len(count), np.nan, dtype=np.float32), where=both > 1e-6)
        return np.asarray(np.clip(ratio, -1.0, 1.0), dtype=np.float32)

    @staticmethod
    def _spread(sizes: Floats, count: Floats) -> Floats:
        """(b,) 1 - sum of (size / count)^3 over groups of equal values: twelve times the variance of average ranks."""
        shares = sizes / count
        return np.asarray(1.0 - np.einsum("ij,ij,ij->j", shares, shares, shares), dtype=np.float32)


class _Resampled:
    """Features that are known for the same m posts, ranked anew on each resample."""

    def __init__(self, numbers: Sequence[int], cluster: Clusters, truth: Numbers, features: Sequence[Numbers]) -> None:
        self._cluster = cluster
        self._truth = _Ties(truth)
        self._features = [(number, _Ties(feature)) for number, feature in zip(numbers, features, strict=True)]
        self.cells = len(cluster)

    def correlations(self, times: npt.NDArray[np.int64]) -> Iterator[tuple[int, Floats]]:
        """Number of a feature, and its (b,) correlations where clusters are drawn so often, (b, g)."""
        drawn = np.ascontiguousarray(times.T.astype(np.float32)[self._cluster])
        total = drawn.sum(axis=0)
        count = np.maximum(total, 1.0)
        ranks, spread = self._truth.ranks(drawn, count)
        spread[total == 0] = 0.0  # none of the posts was drawn: no correlation
        weighted = drawn * ranks
        for number, feature in self._features:
            yield number, feature.correlation(drawn, weighted, count, spread)


class _Linear:
    """Features that are known for the same m posts, and what each cluster adds to the z of their correlations."""

    def __init__(self, numbers: Sequence[int], cluster: Clusters, truth: Numbers, features: Sequence[Numbers]) -> None:
        self._numbers = numbers
        size = int(cluster.max()) + 1
        self._posts = np.bincount(cluster, minlength=size).astype(np.float64)
        ranked = _Shares(truth)
        self._estimates = np.zeros(len(numbers))
        self._influences = np.zeros((size, len(numbers)))
        for column, feature in enumerate(features):
            self._estimates[column], influence = _Shares(feature).influence(ranked)
            self._influences[:, column] = np.bincount(cluster, weights=influence, minlength=size)
        self.cells = size

    def correlations(self, times: npt.NDArray[np.int64]) -> Iterator[tuple[int, Numbers]]:
        """As those of `_Resampled`."""
        drawn = times[:, : len(self._posts)].astype(np.float64)
        moved = ratio((drawn @ self._influences).T, drawn @ self._posts)
        for number, estimate, change in zip(self._numbers, self._estimates.tolist(), moved, strict=True):
            whole = 1.0 - estimate**2
            # A perfect correlation is one on every resample.
            yield number, np.tanh(math.atanh(estimate) + change / whole) if whole > 1e-12 else estimate + 0.0 * change


class _Shares:
    """The ranks of n values, as shares of them below, ties half; how often each value occurs, as a share."""

    def __init__(self, values: Numbers) -> None:
        _, self._group, counts = np.unique(values, return_inverse=True, return_counts=True)
        self._sizes = counts / len(values)
        self.ranks = (np.cumsum(self._sizes) - self._sizes / 2.0)[self._group]
        self._cubes = float((self._sizes**3).sum())

    @property
    def spread(self) -> float:
        """Twelve times the variance of the ranks."""
        return 1.0 - self._cubes

    @property
    def spread_influence(self) -> Numbers:
        """(n,) derivative of the spread by the weight of each post."""
        influence: Numbers = 3.0 * (self._cubes - self._sizes[self._group] ** 2)
        return influence

    def influence(self, other: "_Shares") -> tuple[float, Numbers]:
        """Spearman's correlation with others, and its (n,) derivative by the weight of each post; they sum to 0.

        The correlation is 12 (m - 1/4) over the root of both spreads, where m is the mean product of ranks. A post has
        a part in m by its own product, and by the ranks of all posts above it on either side.
        """
        product = float(np.mean(self.ranks * other.ranks))
        by_product = self.ranks * other.ranks + self._mean_above(other.ranks) + other._mean_above(self.ranks)
        scale = math.sqrt(self.spread * other.spread)
        correlation = 12.0 * (product - 0.25) / scale
        by_spread = self.spread_influence / self.spread + other.spread_influence / other.spread
        influence: Numbers = 12.0 * (by_product - 3.0 * product) / scale - correlation / 2.0 * by_spread
        return min(max(correlation, -1.0), 1.0), influence

    def _mean_above(self, weights: Numbers) -> Numbers:
        """(n,) sums of the weights of posts with a larger value, and half of those with an equal one, over n."""
        sums = np.bincount(self._group, weights=weights, minlength=len(self._sizes)) / len(weights)
        above: Numbers = (sums.sum() - np.cumsum(sums) + sums / 2.0)[self._group]
        return above


_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("subreddit", "block", "feature", "table_name", "known_at", "description")),
        *((name, pa.string()) for name in ("unit", "source", "type")),
        ("width", pa.int32()),
        ("posts", pa.int32()),
        ("missing_share", pa.float64()),
        ("labelled_posts", pa.int32()),
        ("method", pa.string()),
        *((name, pa.float64()) for name in ("spearman", "spearman_low", "spearman_high")),
        ("rank_in_block", pa.int32()),
        ("leakage", pa.string()),
        ("suspicious_above", pa.float64()),
    ]
)

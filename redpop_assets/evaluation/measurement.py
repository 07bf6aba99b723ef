"""All metrics of all predictors of one subreddit, with intervals, from the same resamples of its test part.

Posts by one author, and posts of one picture, depend on each other; whoever is connected through either is drawn
together. What one metric is on each resample is kept for the comparison of predictors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation import metrics, weighted_metrics
from redpop_assets.evaluation.bootstrap import Replicates, Statistic, mean_of, pair_accuracy_of, replicate, spearman_of
from redpop_assets.evaluation.pairs import pair_outcomes, time_controlled_pairs
from redpop_assets.evaluation.splits import connected_components
from redpop_assets.evaluation.targets import Posts, Target, targets_of

Doubles = npt.NDArray[np.float64]

LEVELS: Final = (50, 80, 90)
"""Coverages (percent) that prediction intervals aim at; their ends are called low_50, high_50 and so on."""

FIRST_PLACES: Final = (10, 50)
"""Places that count for NDCG."""

TOP_SHARE: Final = 0.1
"""Share of the posts that are looked for by precision_at_10_percent."""

ONE_CLASS = "all posts are in one class"
CONSTANT = "the prediction is the same for all posts"


@dataclass(frozen=True, eq=False)
class Expectation:
    """What one predictor says of the n labelled posts of a subreddit.

    Args:
        expected: (n,) expected log scores; NaN where there is none.
        low, high: level in percent -> (n,) ends of its prediction intervals, NaN where there are none.
    """

    expected: Doubles
    low: Mapping[int, Doubles] = field(default_factory=dict)
    high: Mapping[int, Doubles] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Measure:
    """One metric of one predictor on one target, before it is computed.

    Attributes:
        target, metric: Names, as in marts.metrics.
        statistic: Of the weights of all test posts.
        n: Posts, or pairs, that are judged.
        why: Why the metric may be undefined.
        chance: What it is for predictions that know nothing, where that can be said.
    """

    target: str
    metric: str
    statistic: Statistic
    n: int
    why: str
    chance: float | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """The metrics of one subreddit.

    Attributes:
        rows: One per predictor, target and metric: predictor, target, metric, value, low, high, standard_error,
            chance, n and note (why there is no value, or no interval).
        replicates: (target, metric) -> predictor -> the metric on every resample; where it is defined at all.
        clusters: Groups of posts that were drawn, each as a whole.
    """

    rows: list[dict[str, Any]]
    replicates: Mapping[tuple[str, str], Mapping[str, Replicates]]
    clusters: int


def measure(
    posts: Posts, expectations: Mapping[str, Expectation], *, resamples: int = 1_000, seed: int = 0
) -> Measured:
    """Measure all predictors on all targets.

    Args:
        posts: the labelled posts of the subreddit.
        expectations: by name of the predictor. One that lacks an expectation of a post that is judged or was learnt
            from gets no numbers: it would be compared on other posts than the others.
        resamples, seed: of the bootstrap, as for `bootstrap.interval`.

    Raises:
        ValueError: the expectations are not of these posts, or a prediction interval ends below its beginning.
    """
    test = posts.test
    pairs = time_controlled_pairs(
        np.zeros(len(test), dtype=np.int64),
        posts.created_at[test],
        np.rint(metrics.raw_score(posts.log_score[test])),
        posts.groups[test],
    )
    clusters = connected_components(posts.authors[test].tolist(), posts.groups[test].tolist())
    targets = targets_of(posts)
    found: list[tuple[str, Measure]] = []
    for name, expectation in expectations.items():
        if expectation.expected.shape != (len(posts),):
            raise ValueError(f"{name} has {len(expectation.expected)} expectations for {len(posts)} posts")
        needed = np.concatenate([test, posts.learnt])
        missing = int(np.isnan(expectation.expected[needed]).sum())
        if missing:
            found.append((name, _incomplete(len(test), f"{missing} of {len(needed)} posts have no prediction")))
        else:
            found += [(name, one) for one in _measures(posts, targets, pairs, expectation)]
    replicates = replicate([one.statistic for _, one in found], clusters, resamples=resamples, seed=seed)
    rows = [
        {"predictor": name, **_row(one, drawn, clusters)} for (name, one), drawn in zip(found, replicates, strict=True)
    ]
    kept: dict[tuple[str, str], dict[str, Replicates]] = {}
    for (name, one), drawn in zip(found, replicates, strict=True):
        if np.isfinite(drawn.estimate):
            kept.setdefault((one.target, one.metric), {})[name] = drawn
    return Measured(rows, kept, len(np.unique(clusters)))


def _measures(
    posts: Posts, targets: tuple[Target, ...], pairs: npt.NDArray[np.int64], expectation: Expectation
) -> Iterator[Measure]:
    """All measures of a predictor; a target without posts has the same ones as any other, all undefined."""
    place = np.zeros(len(posts), dtype=np.int64)
    place[posts.test] = np.arange(len(posts.test))
    for target in targets:
        truth, score = target.truth, target.score(expectation.expected)
        of_kind = {"score": _of_score, "percentile": _of_percentile, "rank": _of_rank, "class": _of_class}[target.kind]
        for one in of_kind(target, truth, score, expectation.expected):
            yield Measure(
                one.target,
                one.metric,
                weighted_metrics.of_rows(place[target.rows], one.statistic),
                one.n,
                target.note or one.why,
                one.chance,
            )
    test = posts.test
    expected, truth = expectation.expected[test], posts.log_score[test]
    outcomes = pair_outcomes(pairs, expected)
    no_pairs = "no two test posts are a time-controlled pair"
    yield Measure("log_score", "pair_accuracy", pair_accuracy_of(pairs, outcomes), len(pairs), no_pairs, 0.5)
    for level in LEVELS:
        low, high = (side[level][test] if level in side else None for side in (expectation.low, expectation.high))
        if low is not None and high is not None and len(test) and np.isfinite(low).all() and np.isfinite(high).all():
            within = metrics.covered(truth, low, high)
            yield Measure("log_score", f"coverage_{level}", mean_of(within), len(test), "")
            yield Measure("log_score", f"width_{level}", mean_of(high - low), len(test), "")


def _of_rank(target: Target, truth: Doubles, score: Doubles, _: Doubles) -> Iterator[Measure]:
    why = f"{len(truth)} test posts, {metrics.MIN_POSTS} are needed"
    if len(truth) >= metrics.MIN_POSTS:
        why = CONSTANT if np.ptp(score) == 0.0 else "the truth is the same for all posts"
    yield Measure(target.name, "spearman", spearman_of(truth, score), len(truth), why, 0.0)
    yield Measure(target.name, "kendall", weighted_metrics.kendall_of(truth, score), len(truth), why, 0.0)


def _of_percentile(target: Target, truth: Doubles, score: Doubles, expected: Doubles) -> Iterator[Measure]:
    yield from _of_rank(target, truth, score, expected)
    yield Measure(target.name, "mae", mean_of(np.abs(truth - score)), len(truth), "no test posts")


def _of_score(target: Target, truth: Doubles, score: Doubles, expected: Doubles) -> Iterator[Measure]:
    yield from _of_rank(target, truth, score, expected)
    n, none = len(truth), "no test posts"
    squared = mean_of((truth - score) ** 2)
    points = np.abs(metrics.raw_score(truth) - metrics.raw_score(score))
    for name, statistic in (
        ("mae", mean_of(np.abs(truth - score))),
        ("mse", squared),
        ("rmse", weighted_metrics.root_of(squared)),
        ("median_absolute_error", weighted_metrics.median_of(points)),
        ("within_10_percent", mean_of(metrics.relative_hits(truth, score))),
        ("same_magnitude", mean_of(metrics.magnitude_hits(truth, score))),
    ):
        yield Measure(target.name, name, statistic, n, none)
    constant = none if n == 0 else "the truth is the same for all posts"
    yield Measure(target.name, "r2", weighted_metrics.r2_of(truth, score), n, constant, 0.0)
    gain = metrics.percentile_rank(truth, truth) if n else truth
    for k in FIRST_PLACES:
        found, guess = (weighted_metrics.ndcg_of(gain, by, k) for by in (score, np.zeros(n)))
        yield Measure(target.name, f"ndcg_at_{k}", found, n, f"fewer than {k} test posts", _plain(guess, n))
    relevant = np.zeros(0, dtype=np.bool_)
    if n:
        relevant = truth >= np.sort(truth)[-max(1, round(TOP_SHARE * n))]
    precision = weighted_metrics.precision_at_share_of(relevant, score, TOP_SHARE)
    chance = float(relevant.mean()) if n else None
    yield Measure(target.name, "precision_at_10_percent", precision, n, none, chance)


def _of_class(target: Target, truth: Doubles, score: Doubles, expected: Doubles) -> Iterator[Measure]:
    n = len(truth)
    positive = truth > 0.5
    base = float(positive.mean()) if n else None
    one_class = "no test posts" if n == 0 else ONE_CLASS
    both = n > 0 and 0 < positive.sum() < n
    area = weighted_metrics.average_precision_of(positive, score)
    yield Measure(target.name, "pr_auc", area if both else _undefined, n, one_class, base)
    yield Measure(target.name, "roc_auc", weighted_metrics.roc_auc_of(positive, score), n, one_class, 0.5)
    said = target.decide(expected) if n and target.decide is not None else None
    why = one_class if n == 0 else "the predictor expects the same of all posts that it learnt from"
    shares: dict[str, tuple[Statistic, float | None]]
    shares = dict.fromkeys(("precision", "recall", "f1", "accuracy"), (_undefined, None))
    if said is not None and base is not None:
        why = "it says so of no post, or no post is in the class"
        hits = positive & said
        shares = {
            "precision": (weighted_metrics.share_of(hits, said), base),
            "recall": (weighted_metrics.share_of(hits, positive), None),
            "f1": (weighted_metrics.share_of(2.0 * hits, positive.astype(np.float64) + said), None),
            "accuracy": (mean_of(positive == said), max(base, 1.0 - base)),
        }
    for name, (statistic, chance) in shares.items():
        yield Measure(target.name, name, statistic, n, why, chance)


def _undefined(weights: Doubles) -> Doubles:
    return np.full(len(weights), np.nan)


def _plain(statistic: Statistic, n: int) -> float | None:
    value = float(statistic(np.ones((1, n)))[0])
    return value if np.isfinite(value) else None


def _incomplete(n: int, why: str) -> Measure:
    return Measure("log_score", "spearman", _undefined, n, f"{why}: refresh marts.predictions")


def _row(one: Measure, drawn: Replicates, clusters: npt.NDArray[np.int64]) -> dict[str, Any]:
    defined = bool(np.isfinite(drawn.estimate))
    bounds = drawn.interval()
    note = None
    if not defined:
        note = one.why or "not defined on these posts"
    elif bounds is None:
        few = len(np.unique(clusters)) < 2
        note = "no interval: all test posts hang together" if few else "no interval: undefined on most resamples"
    return {
        "target": one.target,
        "metric": one.metric,
        "value": drawn.estimate if defined else None,
        "low": bounds.low if bounds else None,
        "high": bounds.high if bounds else None,
        "standard_error": drawn.standard_error if bounds else None,
        "chance": one.chance,
        "n": one.n,
        "note": note,
    }

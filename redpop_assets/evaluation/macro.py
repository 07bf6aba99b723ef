"""Over all subreddits: the mean of what was found within each, and the pooled value that should not be looked at alone.

A macro mean weighs subreddits alike and takes the subreddits as they are, not as a sample of others. Its standard error
is that of a mean of independent values; authors at home in several communities make it a little too small.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation import metrics
from redpop_assets.evaluation.comparison import COMPARED, smallest_detectable, two_sided, with_holm

MIN_POSTS: Final = 30
"""Fewest test posts of a subreddit that counts in a macro mean."""

SUBREDDIT, MACRO_MEAN, POOLED = "subreddit", "macro_mean", "pooled"
"""Scopes of a row: within one subreddit; the mean over subreddits; all posts in one heap."""

WARNING: Final = "pooled over subreddits: says mostly which community is large; look at macro_mean"

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def macro_metrics(rows: Sequence[Mapping[str, Any]], test_posts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Mean of each metric of each predictor over the subreddits with `MIN_POSTS` test posts in which it is defined.

    Args:
        rows: of marts.metrics, within subreddits.
        test_posts: by subreddit.

    Returns:
        Rows of marts.metrics; without a value, and with the reason, where no subreddit is large enough.
    """
    key = ("predictor", "target", "metric")
    found = []
    for names, members in _grouped(rows, key):
        large = [row for row in members if test_posts[row["subreddit"]] >= MIN_POSTS]
        defined = [row for row in large if row["value"] is not None]
        note = None
        if not large:
            note = f"no subreddit has {MIN_POSTS} test posts"
        elif not defined:
            note = "undefined in every subreddit"
        chances = [row["chance"] for row in defined if row["chance"] is not None]
        found.append(
            {
                "scope": MACRO_MEAN,
                "subreddit": "",
                **dict(zip(key, names, strict=True)),
                **_mean("value", [row["value"] for row in defined], [row["standard_error"] for row in defined]),
                "chance": sum(chances) / len(chances) if chances and len(chances) == len(defined) else None,
                "n": sum(row["n"] for row in defined),
                "subreddits": len(defined),
                "note": note,
            }
        )
    return found


def macro_comparisons(rows: Sequence[Mapping[str, Any]], test_posts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Mean difference of each two predictors over the same subreddits as `macro_metrics`, by each compared metric.

    The p-value is that of the normal distribution, corrected over all pairs of a metric.

    Args:
        rows: of marts.comparisons, within subreddits.
        test_posts: by subreddit.
    """
    from scipy.special import ndtr

    key = ("target", "metric", "pair")
    turned = []
    for row in rows:
        if test_posts[row["subreddit"]] < MIN_POSTS:
            continue
        pair = tuple(sorted((row["first"], row["second"])))
        sign = 1.0 if pair[0] == row["first"] else -1.0
        turned.append({**row, "pair": pair, "difference": sign * row["difference"]})
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (target, metric, pair), members in _grouped(turned, key):
        mean = _mean("difference", [row["difference"] for row in members], [row["standard_error"] for row in members])
        if (mean["difference"] >= 0.0) != COMPARED[target, metric]:
            # The better one comes first.
            mean = {**mean, "difference": -mean["difference"], "low": _minus(mean["high"]), "high": _minus(mean["low"])}
            pair = pair[::-1]
        error = mean["standard_error"]
        found.setdefault((target, metric), []).append(
            {
                "scope": MACRO_MEAN,
                "subreddit": "",
                "target": target,
                "metric": metric,
                "first": pair[0],
                "second": pair[1],
                **mean,
                "p_value": None if error is None else two_sided(mean["difference"], error, lambda z: float(ndtr(z))),
                "smallest_detectable": None if error is None else smallest_detectable(error),
                "n": sum(row["n"] for row in members),
                "subreddits": len(members),
            }
        )
    return [row for family in found.values() for row in with_holm(family)]


def pooled_metrics(
    predictor: str, truth: npt.NDArray[np.float64], expected: npt.NDArray[np.float64], subreddits: int
) -> list[dict[str, Any]]:
    """Metrics of the test posts of all subreddits in one heap, as rows of marts.metrics, each with `WARNING`.

    Over 311 image communities of 2013 the subreddit's median alone reaches a pooled Spearman correlation of 0.91.
    """
    return [
        {
            "scope": POOLED,
            "subreddit": "",
            "predictor": predictor,
            "target": "log_score",
            "metric": name,
            "value": metric(truth, expected),
            **dict.fromkeys(("low", "high", "standard_error", "chance")),
            "n": len(truth),
            "subreddits": subreddits,
            "note": WARNING,
        }
        for name, metric in (
            ("spearman", metrics.spearman),
            ("mae", metrics.mae),
            ("mse", metrics.mse),
            ("rmse", metrics.rmse),
            ("r2", metrics.r2),
        )
    ]


def _mean(name: str, values: Sequence[float], errors: Sequence[float | None]) -> dict[str, Any]:
    """Mean of independent values, with a normal 95 % interval where all their standard errors are known."""
    if not values:
        return {name: None, "low": None, "high": None, "standard_error": None}
    mean = math.fsum(values) / len(values)
    known = [error for error in errors if error is not None]
    if len(known) < len(values):
        return {name: mean, "low": None, "high": None, "standard_error": None}
    error = math.sqrt(math.fsum(error**2 for error in known)) / len(values)
    return {name: mean, "low": mean - _Z * error, "high": mean + _Z * error, "standard_error": error}


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _grouped(
    rows: Sequence[Mapping[str, Any]], key: Sequence[str]
) -> list[tuple[tuple[Any, ...], list[Mapping[str, Any]]]]:
    def of(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in key)

    # Within a group by subreddit, so that sums do not depend on the order of the rows.
    ordered = sorted(rows, key=lambda row: (of(row), row["subreddit"]))
    return [(names, list(members)) for names, members in groupby(ordered, key=of)]

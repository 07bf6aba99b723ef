"""Which predictor is better than which, beyond chance: paired differences, corrected for how many were looked at.

Two predictors are compared on the same resamples of the same posts, so that what is hard for both cancels out. Among
two dozen predictors there are hundreds of pairs, some of which differ by luck; their p-values are corrected together
(Holm 1979), within one subreddit and one metric.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from redpop_assets.evaluation.bootstrap import Replicates
from redpop_assets.evaluation.metrics import MIN_POSTS

SIGNIFICANT: Final = 0.05
"""Corrected p-value below which a difference counts."""

POWER: Final = 0.8
"""Chance with which the smallest detectable difference would be detected."""

COMPARED: Final[Mapping[tuple[str, str], bool]] = {
    ("log_score", "spearman"): True,
    ("log_score", "pair_accuracy"): True,
    ("log_score", "mae"): False,
    ("top_quarter", "pr_auc"): True,
}
"""Target and metric by which predictors are compared, and whether more is better. The first one is the headline."""

HEADLINE: Final = next(iter(COMPARED))

BEST, AMONG_BEST, WORSE = "best", "among_best", "worse"


def compare(
    replicates: Mapping[str, Replicates], *, higher_is_better: bool, clusters: int, n: int
) -> list[dict[str, Any]]:
    """Compare all pairs of predictors by one metric.

    The p-value is that of the difference over its bootstrap standard error, by Student's t with one degree of freedom
    less than there are clusters. Counting resamples on either side of 0 would give no p-value below 2 / (resamples +
    1), which a correction for hundreds of pairs could never leave below 0.05. The interval is that of the percentiles.

    Args:
        replicates: by predictor, the metric on the same resamples; where it is undefined, the predictor is left out.
        higher_is_better: False for errors.
        clusters: groups of posts that were drawn.
        n: posts or pairs that were judged.

    Returns:
        One row per pair, the predictor with the better value first: first, second, difference, low, high,
        standard_error, p_value, p_holm, smallest_detectable and n.
    """
    from scipy.special import stdtr

    sign = -1.0 if higher_is_better else 1.0
    order = sorted(replicates, key=lambda name: (sign * replicates[name].estimate, name))
    rows: list[dict[str, Any]] = []
    for first, second in combinations(order, 2):
        one, other = replicates[first], replicates[second]
        difference = Replicates(one.estimate - other.estimate, one.values - other.values)
        bounds, error = difference.interval(), difference.standard_error
        p_value = None
        if error is not None and clusters > 1:
            p_value = two_sided(difference.estimate, error, lambda z: float(stdtr(clusters - 1, z)))
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": difference.estimate,
                "low": bounds.low if bounds else None,
                "high": bounds.high if bounds else None,
                "standard_error": error,
                "p_value": p_value,
                "smallest_detectable": None if error is None else smallest_detectable(error),
                "n": n,
            }
        )
    return with_holm(rows)


def two_sided(difference: float, error: float, below: Callable[[float], float]) -> float | None:
    """Two-sided p-value; 1 for what is equal on all resamples, None for what differs by the same on all of them.

    Args:
        difference: of two predictors.
        error: its standard error.
        below: distribution function of the difference over its error, were there no difference.
    """
    if error > 1e-12:
        return min(1.0, 2.0 * below(-abs(difference) / error))
    return 1.0 if abs(difference) <= 1e-12 else None


def with_holm(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one family with p_holm beside p_value."""
    corrected = holm([row["p_value"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, corrected, strict=True)]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values of Holm's step-down procedure (Holm 1979): the k-th smallest of m times m - k + 1, in order.

    Args:
        p_values: of one family; None where there is no test, which then does not count.

    Returns:
        The adjusted values in the same order, at most 1, never falling from a smaller to a larger p-value.
    """
    tested = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for place, (p, number) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - place) * p))
        adjusted[number] = highest
    return adjusted


def smallest_detectable(standard_error: float) -> float:
    """Difference that one two-sided test at 5 % would detect with a power of 80 %: 2.80 standard errors.

    Cohen 1988, chapter 2, with a normal difference. Before there are two predictors to compare, 1 / sqrt(n) stands for
    the standard error of Spearman's correlation of n posts.
    """
    from scipy.special import ndtri

    return float(ndtri(1.0 - SIGNIFICANT / 2.0) + ndtri(POWER)) * standard_error


def standings(
    values: Mapping[str, float | None], lows: Mapping[str, float | None], comparisons: Sequence[Mapping[str, Any]]
) -> dict[str, str | None]:
    """What may be said of each predictor of one subreddit by the headline metric.

    Args:
        values: by predictor; None where the metric is undefined.
        lows: by predictor, the lower end of its interval.
        comparisons: of that metric, as of `compare`.

    Returns:
        "best" for one that is significantly better than every other, and than nothing: its own interval is above 0.
        "among_best" for the one with the highest value and all that are not significantly worse. "worse" for the
        others, None where the metric is undefined.
    """
    measured = {name: value for name, value in values.items() if value is not None}
    found: dict[str, str | None] = dict.fromkeys(values)
    if not measured:
        return found
    leader = min(measured, key=lambda name: (-measured[name], name))  # the order of `compare`
    behind = {
        row["second"]
        for row in comparisons
        if row["first"] == leader and row["p_holm"] is not None and row["p_holm"] < SIGNIFICANT
    }
    found.update({name: WORSE if name in behind else AMONG_BEST for name in measured})
    low = lows[leader]
    if len(behind) == len(measured) - 1 and low is not None and low > 0.0:
        found[leader] = BEST
    return found


def detectable(comparisons: Sequence[Mapping[str, Any]], n: int) -> float | None:
    """Median of the smallest detectable differences of all pairs; of 1 / sqrt(n) without any; None below 3 posts."""
    known = sorted(row["smallest_detectable"] for row in comparisons if row["smallest_detectable"] is not None)
    if known:
        return float(known[len(known) // 2])
    return smallest_detectable(1.0 / math.sqrt(n)) if n >= MIN_POSTS else None

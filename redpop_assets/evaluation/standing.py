"""What an expectation turned out to be worth: the mean standing of past posts of which as much was expected.

Points of two communities cannot be compared, and neither can what two predictors expect: the one may be sure of itself
and wrong, the other know little and say so. What can be compared is how posts did, within their own community, of which
a predictor expected that much and from which it had not learnt. A line is fitted from the rank of what was expected,
among all that was expected, to the percentile that came, so that a predictor that ranks no better than chance expects
the middle of everything, and one that expects too little of every post loses nothing by it.

How far a single post lies from that line is luck in part, and in part what the predictor does not know about it.
Nothing tells the two apart, for nobody has posted one thing twice; half of it is taken to be the one, half the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.metrics import percentile_rank

Doubles: TypeAlias = "npt.NDArray[np.float64]"

FEWEST: Final = 30
"""Clusters of posts below which nothing is said."""

UNKNOWN: Final = 0.5
"""Share of the variance around the line that is not luck, but what a predictor does not know of a post."""


@dataclass(frozen=True, eq=False)
class Worth:
    """The line from the rank of an expectation to the actual percentile, and how well it is known.

    Attributes:
        reference: (n,) what was expected of the posts that it was learnt from, ascending.
        intercept, slope: of the line; ranks and percentiles from 0 to 1.
        covariance: (2, 2) of the two.
        spread: variance of actual percentiles around the line.
        freedom: degrees of freedom.
    """

    reference: Doubles
    intercept: float
    slope: float
    covariance: Doubles
    spread: float
    freedom: int

    @classmethod
    def fit(cls, expected: Doubles, actual: Doubles, clusters: Sequence[str]) -> Self | None:
        """Least squares, with standard errors that hold when posts of one cluster resemble each other.

        The covariance is the sandwich of Liang and Zeger (1986, "Longitudinal data analysis using generalized linear
        models", Biometrika 73, eq. 8), times g / (g - 1) * (n - 1) / (n - 2) for g clusters.

        Args:
            expected: (n,) of posts that were not learnt from; on any scale, for only their ranks count.
            actual: (n,) percentiles of these posts, from 0 to 1.
            clusters: n names: posts of one author, or of one picture.

        Returns:
            None where there are fewer than `FEWEST` clusters.

        Raises:
            ValueError: lengths differ, or a value is not finite.
        """
        n = len(expected)
        if not n == len(actual) == len(clusters):
            raise ValueError("expected, actual and clusters must have one entry per post")
        if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
            raise ValueError("expectations and percentiles must be finite")
        names, owner = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
        groups = len(names)
        if groups < FEWEST:
            return None
        same = np.ptp(expected) == 0.0  # of all of them: every post gets their mean
        design = np.ones((n, 1)) if same else np.column_stack([np.ones(n), percentile_rank(expected, expected)])
        gram = np.linalg.inv(design.T @ design)
        found = gram @ design.T @ actual
        scores = design * (actual - design @ found)[:, None]
        sums = np.zeros((groups, design.shape[1]))
        np.add.at(sums, owner, scores)
        sandwich = gram @ (sums.T @ sums) @ gram * (groups / (groups - 1)) * ((n - 1) / (n - 2))
        covariance = np.zeros((2, 2))
        covariance[: len(found), : len(found)] = sandwich
        slope = float(found[1]) if len(found) > 1 else 0.0
        spread = float(((actual - design @ found) ** 2).sum() / (n - design.shape[1]))
        return cls(np.sort(expected), float(found[0]), slope, covariance, spread, groups - 1)

    def at(self, expected: float) -> tuple[float, float]:
        """Mean actual percentile of posts of which as much is expected, from 0 to 1; and the variance of one such post.

        The variance is that of the mean, and of what the predictor does not know of the post; luck is left out.
        """
        rank = float(percentile_rank(self.reference, [expected])[0])
        point = np.array([1.0, rank])
        mean = self.intercept + self.slope * rank
        variance = float(point @ self.covariance @ point) + UNKNOWN * self.spread
        return float(min(max(mean, 0.0), 1.0)), variance

    def interval(self, expected: float, level: int) -> tuple[float, float]:
        """Ends, from 0 to 1, of a central interval of where one post with such an expectation stands, luck left out.

        Args:
            expected: of the post, on the scale of what was learnt from.
            level: coverage in percent.
        """
        mean, variance = self.at(expected)
        reach = _reach(self.freedom, level) * variance**0.5
        return max(mean - reach, 0.0), min(mean + reach, 1.0)


def told_apart(one: tuple[Worth, float], other: tuple[Worth, float], level: int) -> bool:
    """Whether one post stands elsewhere in one community than in another, beyond what is not known; luck left out.

    Args:
        one, other: of each community what expectations are worth there, and what is expected.
        level: coverage in percent of the interval of the difference that has to leave out 0.
    """
    (mean, variance), (other_mean, other_variance) = (worth.at(expected) for worth, expected in (one, other))
    reach = _reach(min(one[0].freedom, other[0].freedom), level) * (variance + other_variance) ** 0.5
    return bool(abs(mean - other_mean) > reach)


def _reach(freedom: int, level: int) -> float:
    """Standard errors to either end of an interval."""
    from scipy import special  # imported by who asks only

    return float(special.stdtrit(freedom, 0.5 + level / 200))

"""What an expected standing turned out to be worth: the mean standing of past posts of which as much was expected.

Points of two communities cannot be compared, and neither can what two predictors expect: the one may be sure of itself
and wrong, the other know little and say so. What can be compared is how posts did, within their own community, of which
a predictor expected that much and from which it had not learnt. A line is fitted through their percentiles, so that a
predictor that ranks no better than chance expects the middle of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from redpop_assets.arrays import np, npt

Doubles: TypeAlias = "npt.NDArray[np.float64]"

FEWEST: Final = 30
"""Clusters of posts below which nothing is said."""


@dataclass(frozen=True, eq=False)
class Worth:
    """The line from expected to actual percentile, and how well it is known.

    Attributes:
        intercept, slope: of the line; percentiles from 0 to 1.
        covariance: (2, 2) of the two.
        freedom: degrees of freedom.
        posts: that it was learnt from.
    """

    intercept: float
    slope: float
    covariance: Doubles
    freedom: int
    posts: int

    @classmethod
    def fit(cls, expected: Doubles, actual: Doubles, clusters: Sequence[str]) -> Self | None:
        """Least squares, with standard errors that hold when posts of one cluster resemble each other.

        The covariance is the sandwich of Liang and Zeger (1986, "Longitudinal data analysis using generalized linear
        models", Biometrika 73, eq. 8), times g / (g - 1) * (n - 1) / (n - 2) for g clusters.

        Args:
            expected, actual: (n,) percentiles of posts that were not learnt from.
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
            raise ValueError("percentiles must be finite")
        names, owner = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
        groups = len(names)
        if groups < FEWEST:
            return None
        same = np.ptp(expected) == 0.0  # of all of them: every post gets their mean
        design = np.ones((n, 1)) if same else np.column_stack([np.ones(n), expected])
        gram = np.linalg.inv(design.T @ design)
        found = gram @ design.T @ actual
        scores = design * (actual - design @ found)[:, None]
        sums = np.zeros((groups, design.shape[1]))
        np.add.at(sums, owner, scores)
        sandwich = gram @ (sums.T @ sums) @ gram * (groups / (groups - 1)) * ((n - 1) / (n - 2))
        covariance = np.zeros((2, 2))
        covariance[: len(found), : len(found)] = sandwich
        slope = float(found[1]) if len(found) > 1 else 0.0
        return cls(float(found[0]), slope, covariance, groups - 1, n)

    def at(self, percentile: float) -> tuple[float, float]:
        """Mean actual percentile of posts with such an expected one, from 0 to 1, and the variance of that mean."""
        point = np.array([1.0, percentile])
        mean = self.intercept + self.slope * percentile
        return float(min(max(mean, 0.0), 1.0)), float(point @ self.covariance @ point)

    def interval(self, percentile: float, level: int) -> tuple[float, float]:
        """Ends of a central interval of that mean, from 0 to 1.

        Args:
            percentile: expected, from 0 to 1.
            level: coverage in percent.
        """
        from scipy import special  # imported by who asks only

        mean, variance = self.at(percentile)
        reach = float(special.stdtrit(self.freedom, 0.5 + level / 200)) * variance**0.5
        return max(mean - reach, 0.0), min(mean + reach, 1.0)


def told_apart(one: tuple[float, float], other: tuple[float, float], freedom: int, level: int) -> bool:
    """Whether two means differ beyond chance, each given with its variance; they are taken to be independent.

    Args:
        one, other: as `Worth.at` returns them.
        freedom: the smaller one of the two.
        level: coverage in percent of the interval of the difference that has to leave out 0.
    """
    from scipy import special  # imported by who asks only

    spread = (one[1] + other[1]) ** 0.5
    return bool(abs(one[0] - other[0]) > float(special.stdtrit(freedom, 0.5 + level / 200)) * spread)

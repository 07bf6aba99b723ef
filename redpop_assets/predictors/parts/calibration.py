"""From the output of a system that predicts something else to the expected log score, without changing its order.

A rank, a past mean or a mean of shrunken predictions has no unit, or the wrong one. Two numbers, fitted to posts that
the system did not learn from, give it that of the log score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

from redpop_assets.arrays import np, npt

Doubles: TypeAlias = "npt.NDArray[np.float64]"

LEAST_SLOPE = 0.01
"""Of the ratio of the deviations: the order of a system stays visible where it does not help."""
FOLDS = 5


@dataclass(frozen=True)
class LinearMap:
    """Expected log score = intercept + slope * output, with a slope above 0."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, output: Doubles, log_score: Doubles) -> Self:
        """Least squares, with the slope held above `LEAST_SLOPE` deviations of the log score per deviation of output.

        Args:
            output: (n,) of the system, for posts that it did not learn from.
            log_score: (n,) labels, n at least 1.
        """
        spread, target = output - output.mean(), log_score - log_score.mean()
        variance = float(spread @ spread)
        if variance <= 1e-12:
            return cls(1.0, float(log_score.mean() - output.mean()))
        slope = max(float(spread @ target) / variance, LEAST_SLOPE * float(np.sqrt((target @ target) / variance)), 1e-9)
        return cls(slope, float(log_score.mean() - slope * output.mean()))

    def apply(self, output: Doubles) -> Doubles:
        """(n,) expected log scores."""
        return self.intercept + self.slope * output


def mapped_out_of_fold(output: Doubles, log_score: Doubles) -> Doubles:
    """Each post mapped by a line through the others: what the fit of `LinearMap` is worth on posts it has not seen.

    Args:
        output, log_score: (n,) as for `LinearMap.fit`, in the order of time, n at least 2. Folds are contiguous.
    """
    mapped = np.empty(len(output))
    for fold in np.array_split(np.arange(len(output)), min(FOLDS, len(output))):
        others = np.setdiff1d(np.arange(len(output)), fold)
        mapped[fold] = LinearMap.fit(output[others], log_score[others]).apply(output[fold])
    return mapped

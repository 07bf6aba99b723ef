"""How far a score may be from what was expected: split conformal intervals, the same way for every predictor.

A predictor's residuals on posts that it was not fitted on say how far off it is on the next one. If the posts are
exchangeable, an interval between two of their order statistics holds the score at least as often as it promises,
whatever the predictor does (Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018, "Distribution-free predictive inference
for regression", section 2.2 and Theorem 2).

- Residuals keep their sign, and each tail gets half of what may be missed (as Romano, Patterson & Candès 2019,
  "Conformalized quantile regression", Theorem 2): scores are skewed, and a bound on the absolute error would be too
  wide on one side. The expected score itself may lie outside of a narrow interval where a predictor is off for a whole
  bin.
- There is one calibration per model, hence per subreddit; and within it one per bin of the expected score, as errors
  grow with it: a Mondrian taxonomy (Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world", section
  4.5). Bins are cut at quantiles of what was expected, never of labels, and only where posts are enough.

What exchangeability leaves out is told by the coverage on the test part, which nothing here looks at: posts change with
time, those of one author resemble each other, and predictors chose their settings by the validation part, whose
residuals are therefore a little too small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.measurement import LEVELS

Doubles: TypeAlias = "npt.NDArray[np.float64]"

POSTS_A_BIN: Final = 40
MOST_BINS: Final = 5
FEWEST_IN_A_BIN: Final = 19
"""What an interval of 90 % with two tails takes."""

COLUMNS: Final = (*(f"{end}_{level}" for level in LEVELS for end in ("low", "high")), "calibration_posts")
"""Columns of tables with intervals."""


def tail_rank(n: int, level: int) -> int:
    """Which of n ordered residuals, counted from either end, bounds an interval with `level` percent between them.

    The bounds are the order statistics k and n + 1 - k with k = floor((n + 1) a / 2), a = 1 - level / 100: the next of
    n + 1 exchangeable residuals is below the one, or above the other, with a probability of at most a / 2 each. In
    whole numbers, since (n + 1) * 0.05 would be 0.9999... where it has to be 1.

    Returns:
        From 1; 0 if n is too small to promise that much: 3 residuals do for 50 %, 9 for 80 %, 19 for 90 %.
    """
    return (n + 1) * (100 - level) // 200


@dataclass(frozen=True)
class Calibration:
    """The residuals of one predictor by what it expected.

    Args:
        edges: (b - 1,) ascending log scores; the bin of an expectation is the number of edges that it reaches.
        residuals: b arrays of log score minus expectation, ascending.
    """

    edges: Doubles
    residuals: tuple[Doubles, ...]

    @classmethod
    def fit(cls, expected: Doubles, log_score: Doubles) -> Self:
        """Sort the residuals of posts that the predictor was not fitted on into bins.

        Args:
            expected: (n,) what it expected, n from 0.
            log_score: (n,) what came.

        Raises:
            ValueError: lengths differ or a value is not finite.
        """
        if expected.shape != log_score.shape or expected.ndim != 1:
            raise ValueError(f"expected {expected.shape} and log_score {log_score.shape} must both have shape (n,)")
        if not (np.isfinite(expected).all() and np.isfinite(log_score).all()):
            raise ValueError("expected and actual log scores must be finite")
        edges = _edges(expected)
        at = np.searchsorted(edges, expected, side="right")
        return cls(edges, tuple(np.sort((log_score - expected)[at == number]) for number in range(len(edges) + 1)))

    def intervals(self, expected: Doubles) -> Mapping[str, npt.NDArray[np.float64]]:
        """Bounds for posts by `COLUMNS`, each (m,): log scores, NaN where too few posts promise nothing, and how many.

        Args:
            expected: (m,) finite log scores.
        """
        at = np.searchsorted(self.edges, expected, side="right")
        columns: dict[str, Doubles] = {}
        for level in LEVELS:
            bounds = np.array([_bounds(residuals, level) for residuals in self.residuals])
            columns[f"low_{level}"], columns[f"high_{level}"] = expected + bounds[at, 0], expected + bounds[at, 1]
        columns["calibration_posts"] = np.array([len(residuals) for residuals in self.residuals], dtype=np.float64)[at]
        return columns


def _bounds(residuals: Doubles, level: int) -> tuple[float, float]:
    rank = tail_rank(len(residuals), level)
    return (float(residuals[rank - 1]), float(residuals[-rank])) if rank else (np.nan, np.nan)


def _edges(expected: Doubles) -> Doubles:
    """Cuts into bins of about equal size; equal expectations stay together, and no bin has too few posts."""
    bins = min(MOST_BINS, len(expected) // POSTS_A_BIN)
    edges: list[float] = []
    ordered, begun = np.sort(expected), 0
    for edge in np.unique(np.quantile(ordered, np.arange(1, bins) / bins)) if bins > 1 else ():
        below = int(np.searchsorted(ordered, edge, side="left"))
        if below - begun >= FEWEST_IN_A_BIN and len(ordered) - below >= FEWEST_IN_A_BIN:
            edges.append(float(edge))
            begun = below
    return np.array(edges, dtype=np.float64)

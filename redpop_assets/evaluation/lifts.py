"""How much more the posts with something score than all posts: which of many such differences are beyond chance.

Intervals and tests are of Student's t with one degree of freedom less than there are authors, from cluster-robust
standard errors; of many things that are looked at together, p-values are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redpop_assets.arrays import np
from redpop_assets.evaluation.comparison import SIGNIFICANT, holm


@dataclass(frozen=True, slots=True)
class Lift:
    """One difference of mean log scores.

    Attributes:
        estimate: mean log score of the posts with it less that of all posts.
        low, high: its interval of 95 %, which knows nothing of the other things that were looked at.
        p_value: corrected for all of them.
    """

    estimate: float
    low: float
    high: float
    p_value: float

    @property
    def told_apart(self) -> bool:
        """Whether it is beyond chance, however many others were looked at."""
        return self.p_value < SIGNIFICANT


def lifts(estimates: Sequence[float], errors: Sequence[float], clusters: Sequence[int]) -> list[Lift]:
    """Judge differences that were looked at together.

    Args:
        estimates: k differences.
        errors: their standard errors.
        clusters: independent authors behind each, at least two.

    Returns:
        One for each, in order.

    Raises:
        ValueError: fewer than two authors stand behind one of them.
    """
    from scipy.special import stdtr, stdtrit

    if any(number < 2 for number in clusters):
        raise ValueError("a difference needs at least two authors")
    if not len(estimates):
        return []
    found, error = np.asarray(estimates, dtype=np.float64), np.maximum(np.asarray(errors, dtype=np.float64), 1e-12)
    freedom = np.asarray(clusters, dtype=np.float64) - 1.0
    reach = stdtrit(freedom, 0.975) * error
    corrected = holm((2.0 * stdtr(freedom, -np.abs(found) / error)).tolist())
    return [
        Lift(float(found[at]), float(found[at] - reach[at]), float(found[at] + reach[at]), p_value)
        for at, p_value in enumerate(corrected)
        if p_value is not None
    ]

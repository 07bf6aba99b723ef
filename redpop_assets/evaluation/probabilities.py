"""How good probabilities of a yes or no are: ranked (precision and recall), sharp (Brier) and honest (calibration).

Truth first, as (n,) booleans, then the (n,) probabilities. Statistics are of weights, as those of `bootstrap`: with a
row of ones they are the metric itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.bootstrap import Statistic, Weights, mean_of, ratio, replicate
from redpop_assets.evaluation.weighted_metrics import of_rows

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CalibrationGroup:
    """Posts of which about the same was said, and what came of them.

    Attributes:
        posts, happened: how many there are, and of how many it came true.
        mean_probability: what was said of them.
        share: of those of which it came true.
        low, high: its 95 % bootstrap interval; None where there are too few clusters.
    """

    posts: int
    happened: int
    mean_probability: float
    share: float
    low: float | None
    high: float | None


def average_precision_of(truth: npt.ArrayLike, probability: npt.ArrayLike) -> Statistic:
    """Area under the curve of precision over recall, as a statistic: the sum of precision times the step of recall.

    As scikit-learn's `average_precision_score`: no interpolation, which would flatter (Davis & Goadrich 2006); posts of
    equal probability are found together. For probabilities that know nothing it is the share of what happened.

    Returns:
        The statistic; NaN where nothing happened.
    """
    true, said = checked(truth, probability)
    order = np.argsort(-said, kind="stable")
    ordered, happened = said[order], true[order].astype(np.float64)
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) if len(said) else np.zeros(0, dtype=np.intp)

    def statistic(weights: Weights) -> Doubles:
        drawn = weights[:, order]
        found = np.cumsum(drawn * happened, axis=1)[:, ends]
        taken = np.cumsum(drawn, axis=1)[:, ends]
        steps = np.diff(found, axis=1, prepend=0.0)
        total = found[:, -1] if len(ends) else np.zeros(len(weights))
        return ratio((steps * np.where(taken > 0, found / np.maximum(taken, 1e-300), 0.0)).sum(axis=1), total)

    return statistic


def brier_of(truth: npt.ArrayLike, probability: npt.ArrayLike) -> Statistic:
    """Mean squared error of the probabilities (Brier 1950), as a statistic."""
    true, said = checked(truth, probability)
    return mean_of((said - true) ** 2)


def brier_skill_of(truth: npt.ArrayLike, probability: npt.ArrayLike, base_rate: float) -> Statistic:
    """By what share the Brier score is below that of always saying `base_rate`, as a statistic; 0 is worthless.

    Args:
        truth, probability: (n,) each.
        base_rate: of what was learnt from, not of these posts, which nobody knew.
    """
    true, said = checked(truth, probability)
    error, usual = (said - true) ** 2, (base_rate - true) ** 2
    return lambda weights: 1.0 - ratio(weights @ error, weights @ usual)


def calibration_groups(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    clusters: npt.NDArray[np.int64],
    *,
    groups: int = 5,
    resamples: int = 1_000,
    seed: int = 0,
) -> Sequence[CalibrationGroup]:
    """Posts in groups by what was said of them, the least likely first.

    Groups have about the same expected number of posts of which it comes true, not the same number of posts: of what is
    rare, equal groups would have nothing to show but the last one. Equal probabilities are in one group.

    Args:
        truth, probability: (n,) each.
        clusters: (n,) numbers of authors, who are drawn as a whole.
        groups: at most so many.
        resamples, seed: of the bootstrap.
    """
    true, said = checked(truth, probability)
    if not len(said):
        return ()
    values, group_of_value, counts = np.unique(said, return_inverse=True, return_counts=True)
    expected = np.cumsum(values * counts)
    middle = expected - values * counts / 2
    number = np.minimum((groups * middle / max(expected[-1], 1e-300)).astype(np.int64), groups - 1)[group_of_value]
    rows = [np.flatnonzero(number == one) for one in np.unique(number)]
    drawn = replicate([of_rows(some, mean_of(true[some])) for some in rows], clusters, resamples=resamples, seed=seed)
    found = []
    for some, replicates in zip(rows, drawn, strict=True):
        bounds = replicates.interval()
        found.append(
            CalibrationGroup(
                posts=len(some),
                happened=int(true[some].sum()),
                mean_probability=float(said[some].mean()),
                share=float(true[some].mean()),
                low=None if bounds is None else bounds.low,
                high=None if bounds is None else bounds.high,
            )
        )
    return tuple(found)


def checked(truth: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[Flags, Doubles]:
    """Both as arrays.

    Raises:
        ValueError: lengths differ, or a probability is none.
    """
    true, said = np.asarray(truth, dtype=np.bool_), np.asarray(probability, dtype=np.float64)
    if true.ndim != 1 or true.shape != said.shape:
        raise ValueError(f"truth {true.shape} and probability {said.shape} must both have shape (n,)")
    if not ((said >= 0) & (said <= 1)).all():
        raise ValueError("probabilities lie between 0 and 1")
    return true, said

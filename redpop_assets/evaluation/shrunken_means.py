"""Means of many small groups that are likely to be alike, such as the hours of a week: none is believed on its own.

Each group's mean is drawn towards the common one by as much as the groups, all together, are seen to differ: a normal
model with two levels (Gelman et al., Bayesian Data Analysis, section 5.4), in which how much they differ is itself
averaged over, so that groups that cannot be told apart do not look certain. Posts of one author are alike: they count
as fewer (design effect, Kish 1965, section 5.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from redpop_assets.arrays import np, npt

SPREAD: Final = 0.05
"""Standard deviation between groups that is thought most likely before anything is seen, for values between 0 and 1.

Its prior is a Rayleigh distribution, 0 at 0: one with a mode there makes intervals too narrow (Chung et al. 2013, A
nondegenerate penalized likelihood estimator for variance parameters).
"""

_SPREADS = 60  # points of the grid on which that standard deviation is averaged over
_UNIFORM = 1.0 / 12.0  # variance of percentiles, which is believed until so many values have shown another:
_BELIEVED = 10


@dataclass(frozen=True, eq=False)
class ShrunkenMeans:
    """What is known of g groups.

    Attributes:
        counts: (g,) values in each.
        effective: (g,) independent values that say as much; 0 without any.
        mean: (g,) mean, drawn towards the common one; that one itself without values.
        low, high: (g,) an interval around it.
    """

    counts: npt.NDArray[np.int64]
    effective: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def shrunken_means(
    values: npt.NDArray[np.float64],
    groups: npt.NDArray[np.int64],
    clusters: npt.NDArray[np.int64],
    number: int,
    *,
    common: float = 0.5,
    level: float = 0.8,
) -> ShrunkenMeans:
    """Estimate the mean of each group.

    Args:
        values: (n,) between 0 and 1, such as percentiles.
        groups: (n,) from 0 to below `number`.
        clusters: (n,) numbers from 0: the authors.
        number: of groups, g.
        common: what is expected of a group that nothing is known of.
        level: of the intervals.

    Returns:
        Means and intervals, all within 0 and 1.
    """
    counts = np.bincount(groups, minlength=number)
    sums = np.bincount(groups, values, minlength=number)
    plain = np.divide(sums, counts, out=np.full(number, common), where=counts > 0)
    residuals = values - plain[groups] if len(values) else values
    freedom = len(values) - int((counts > 0).sum())
    variance = (_BELIEVED * _UNIFORM + float((residuals**2).sum())) / (_BELIEVED + freedom)
    effective = _effective(residuals, groups, clusters, counts, variance)

    spreads = np.linspace(0.0, 6.0 * SPREAD, _SPREADS + 1)[1:, None]
    there = effective > 0
    error = np.divide(variance, effective, out=np.full(number, np.inf), where=there)
    total = spreads**2 + error[None, there]
    likelihood = -0.5 * (np.log(total) + (plain[there] - common) ** 2 / total).sum(axis=1)
    prior = spreads[:, 0] * np.exp(-0.5 * (spreads[:, 0] / SPREAD) ** 2)
    weight = prior * np.exp(likelihood - likelihood.max())
    weight /= weight.sum()

    trust = spreads**2 / (spreads**2 + np.where(there, error, 1.0)) * there
    shifts = trust * (plain - common)
    shift = weight @ shifts
    deviation = np.sqrt(weight @ (spreads**2 * (1.0 - trust) + (shifts - shift) ** 2))
    mean = common + shift
    reach = NormalDist().inv_cdf((1.0 + level) / 2.0) * deviation
    return ShrunkenMeans(
        counts.astype(np.int64), effective, mean, np.clip(mean - reach, 0.0, 1.0), np.clip(mean + reach, 0.0, 1.0)
    )


def _effective(
    residuals: npt.NDArray[np.float64],
    groups: npt.NDArray[np.int64],
    clusters: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    variance: float,
) -> npt.NDArray[np.float64]:
    """(g,) independent values each group is worth: its n values over 1 + ρ (mean size of a value's cluster − 1)."""
    if not len(residuals):
        return np.zeros(len(counts))
    sizes = np.bincount(clusters).astype(np.float64)
    # Products of two different values of one author: their mean is what they have in common.
    pairs = float((sizes * (sizes - 1.0)).sum())
    shared = float((np.bincount(clusters, residuals) ** 2).sum() - (residuals**2).sum())
    alike = min(max(shared / (pairs * variance), 0.0), 1.0) if pairs else 0.0
    _, cell, together = np.unique(groups * len(sizes) + clusters, return_inverse=True, return_counts=True)
    company = np.bincount(groups, together[cell].astype(np.float64), minlength=len(counts))
    mean_company = np.divide(company, counts, out=np.ones(len(counts)), where=counts > 0)
    effective: npt.NDArray[np.float64] = counts / (1.0 + alike * (mean_company - 1.0))
    return effective

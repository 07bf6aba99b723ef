"""Whether features still look as they did when somebody last agreed: profiles of columns, and what departs from them.

A profile is small enough for a table (features.profiles) and says enough to judge new values without the old ones. A
column has drifted if a distance is both material and beyond chance: with few rows every distance is large, with many
rows every distance is significant. Rows count as independent; where they are not (many posts of few authors, or new
values that contain the old ones), the bounds are respectively too narrow and too wide.

Arrays in, verdicts out; what is read and stored belongs into `redpop_assets.refresh.drift`.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

CODE_VERSION: Final = "1"
"""Raise it whenever a profile would hold something else: profiles of another version count as not accepted."""

BINS: Final = 10
"""Bins that the accepted values are split into evenly; a value that fills a bin alone makes a few more."""

POINTS: Final = 100
"""Points at which a profile keeps the distribution function; `ks` is exact to 1 / POINTS."""

MIN_ROWS: Final = 50
"""Fewest known values, then and now, for a comparison of distributions; fewer rows are never accepted by themselves."""

FALSE_ALARMS: Final = 0.01
"""Most tables in which chance alone reports a drift."""

PSI_BOUND: Final = 0.25
"""Least PSI that matters: a major shift by the usual reading (Siddiqi 2006), half a standard deviation of a normal."""

KS_BOUND: Final = 0.2
"""Least Kolmogorov-Smirnov distance that matters: again half a standard deviation of a normal."""

MISSING_BOUND: Final = 0.05
"""Least change of the share of missing values that matters."""

CENTROID_BOUND: Final = 0.02
"""Least 1 - cosine of the centroids that matters."""

NORM_TOLERANCE: Final = 1e-4
"""Distance from 1 within which a vector counts as one of unit length, as rounding in float32 leaves it."""

COLLAPSED: Final = 0.99
"""Mean cosine of two vectors above which all of them are nearly one."""

DUPLICATED: Final = 0.05
"""Share of exact duplicates among the vectors of different contents above which something is wrong."""

GROWTH: Final = 1.25
"""How much larger a snapshot within bounds must be to take the place of the accepted one. If every snapshot did, each
would be compared to the day before only, and a slow drift would never be seen."""

_PSEUDO_COUNT = 0.5  # added to every bin, so that an empty one does not make the PSI infinite
_SPREAD_ROWS = 2_000  # vectors from which the spread over directions is estimated
_TESTS = 4  # distances that can raise an alarm, per column: PSI, KS, missing share, centroid


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a profile keeps of a column of vectors, besides the distribution of their lengths."""

    width: int
    centroid: tuple[float, ...]
    variance: float
    """Trace of the covariance."""
    squared_variance: float
    """Trace of the squared covariance: tells how many directions share the variance."""
    off_norm: float
    """Share of vectors whose length is not 1."""
    similarity: float | None
    """Mean cosine of two vectors; None with fewer than two."""
    duplicates: float
    """Share of vectors that equal an earlier one bit for bit."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A column in brief; of vectors, the lengths are profiled, and `vectors` says the rest.

    Attributes:
        rows: Number of values, missing ones included.
        known: Those that are not missing.
        mean, deviation: Moments of the known values (population); None if there are none.
        edges: (b - 1,) upper ends, included, of all bins but the last; ascending.
        counts: (b,) known values in each bin.
        points: (p,) values at which the distribution function is kept, p at most POINTS + 1; ascending.
        below, up_to: (p,) number of known values below each point, and up to and with it.
        vectors: What else is known of vectors; None for numbers.
    """

    rows: int
    known: int
    mean: float | None
    deviation: float | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    points: tuple[float, ...]
    below: tuple[int, ...]
    up_to: tuple[int, ...]
    vectors: Vectors | None = None

    @property
    def missing_share(self) -> float:
        """Share of values that are missing; 0 without rows."""
        return 1.0 - self.known / self.rows if self.rows else 0.0

    def to_json(self) -> str:
        """As text for a table; `from_json` gives back an equal profile."""
        return json.dumps({"version": CODE_VERSION, **asdict(self)}, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Profile | None":
        """The profile of such a text; None if another version of this module wrote it."""
        state: dict[str, Any] = json.loads(text)
        if state.pop("version") != CODE_VERSION:
            return None
        for name in ("edges", "counts", "points", "below", "up_to"):
            state[name] = tuple(state[name])
        if vectors := state["vectors"]:
            state["vectors"] = Vectors(**{**vectors, "centroid": tuple(vectors["centroid"])})
        return cls(**state)


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a column is from its accepted profile. A distance that cannot be had is None.

    Attributes:
        column: Its name.
        accepted: The accepted profile; None if there is none yet.
        rows, missing_share: Of the new values.
        counts: (b,) new values in the bins of the accepted profile.
        psi, ks: Distances of the distributions; of vectors, of their lengths.
        mean_shift: New mean minus accepted mean, in accepted standard deviations.
        centroid_shift: 1 - cosine of the accepted and the new centroid.
        similarity: Mean cosine of two new vectors.
        bounds: What psi, ks, missing and centroid may reach.
        reasons: What is wrong, in words; empty if nothing is.
    """

    column: str
    accepted: Profile | None = field(repr=False)
    rows: int
    missing_share: float
    counts: tuple[int, ...] = ()
    psi: float | None = None
    ks: float | None = None
    mean_shift: float | None = None
    centroid_shift: float | None = None
    similarity: float | None = None
    bounds: Mapping[str, float] | None = None
    reasons: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.reasons)

    @property
    def excess(self) -> float:
        """The largest distance in terms of its bound; infinite for what is wrong without any distance."""
        bounds = self.bounds or {}
        change = None if self.accepted is None else abs(self.missing_share - self.accepted.missing_share)
        distances = {"psi": self.psi, "ks": self.ks, "missing": change, "centroid": self.centroid_shift}
        ratios = [value / bounds[name] for name, value in distances.items() if value is not None and name in bounds]
        worst = max(ratios, default=0.0)
        return math.inf if self.drifted and worst <= 1.0 else worst


@dataclass(frozen=True, slots=True)
class FeatureCheck:
    """The verdict on the columns of a table.

    Attributes:
        drifts: All columns, the worst first.
        renewed: Profiles that are the accepted ones from now on.
    """

    drifts: tuple[Drift, ...]
    renewed: Mapping[str, Profile]

    @property
    def drifted(self) -> tuple[Drift, ...]:
        """The columns with which anything is wrong, the worst first."""
        return tuple(drift for drift in self.drifts if drift.drifted)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with any column."""
        return not self.drifted


def check_features(
    columns: Mapping[str, Values],
    accepted: Mapping[str, Profile],
    *,
    unit_vectors: Collection[str] = (),
) -> FeatureCheck:
    """Compare the columns of a table with their accepted profiles.

    A column without an accepted profile gets the present one, if it has `MIN_ROWS` rows and no fault. If nothing is
    wrong with any column, the profiles of all that grew by `GROWTH` are renewed. If something is wrong, nothing that
    was accepted changes: the warning repeats until a person accepts it.

    Args:
        columns: column -> (n,) numbers or (n, k) vectors; NaN, or a vector with a NaN, is a missing value.
        accepted: column -> accepted profile.
        unit_vectors: the columns whose vectors are embeddings of different contents: of length 1, and not all alike.

    Raises:
        ValueError: a value is infinite, or a column is neither (n,) nor (n, k).
    """
    embeddings = frozenset(unit_vectors)
    drifts = [
        compare(accepted.get(name), values, column=name, comparisons=len(columns), embeddings=name in embeddings)
        for name, values in columns.items()
    ]
    drifts.sort(key=lambda drift: (-drift.excess, drift.column))
    wrong = any(drift.drifted for drift in drifts)
    renewed = {}
    for drift in drifts:
        known = drift.accepted
        due = known is None or (not wrong and drift.rows >= GROWTH * known.rows)
        if due and not drift.drifted and drift.rows >= MIN_ROWS:
            renewed[drift.column] = profile(columns[drift.column])
    return FeatureCheck(tuple(drifts), renewed)


def profile(values: Values) -> Profile:
    """Profile a column.

    Args:
        values: (n,) numbers or (n, k) vectors; NaN, or a vector with a NaN, is a missing value.

    Raises:
        ValueError: a value is infinite, or the shape is neither (n,) nor (n, k).
    """
    known, vectors = _known(values)
    distinct, times = np.unique(known, return_counts=True)
    up_to = np.cumsum(times, dtype=np.int64)
    last = _last_of_bins(times)
    kept = np.arange(len(distinct))
    if len(distinct) > POINTS:
        steps = len(known) * np.arange(1, POINTS + 1) / POINTS
        kept = np.unique(np.r_[0, np.searchsorted(up_to, steps)])
    return Profile(
        rows=len(values),
        known=len(known),
        mean=float(known.mean()) if len(known) else None,
        deviation=float(known.std()) if len(known) else None,
        edges=tuple(distinct[last[:-1]].tolist()),
        counts=tuple(np.diff(up_to[last], prepend=0).tolist()),
        points=tuple(distinct[kept].tolist()),
        below=tuple((up_to - times)[kept].tolist()),
        up_to=tuple(up_to[kept].tolist()),
        vectors=None if vectors is None else _describe(vectors),
    )


def compare(
    accepted: Profile | None,
    values: Values,
    *,
    column: str,
    comparisons: int = 1,
    embeddings: bool = False,
) -> Drift:
    """Compare new values of a column with its accepted profile.

    Args:
        accepted: the accepted profile; None if there is none, so that only faults of embeddings can be found.
        values: as for `profile`.
        column: name of the column.
        comparisons: columns that are compared together and share `FALSE_ALARMS` (Bonferroni).
        embeddings: whether they are embeddings of different contents: of length 1, and not all alike. A fault that
            the accepted profile has, too, was agreed to.

    Raises:
        ValueError: as for `profile`.
    """
    known, vectors = _known(values)
    rows, missing_share = len(values), 1.0 - len(known) / len(values) if len(values) else 0.0
    described = None if vectors is None else _describe(vectors)
    similarity = None if described is None else described.similarity
    agreed = accepted.vectors if accepted is not None else None
    reasons: list[str] = []
    if embeddings and described is not None:
        reasons += [
            text for fault, text in _faults(described).items() if agreed is None or fault not in _faults(agreed)
        ]
    if accepted is None:
        return Drift(column, None, rows, missing_share, similarity=similarity, reasons=tuple(reasons))
    alpha = FALSE_ALARMS / (_TESTS * max(comparisons, 1))
    bounds: dict[str, float] = {}
    psi_, ks_, shift, centroid = None, None, None, None
    if rows and accepted.rows:
        bounds["missing"] = missing_bound(accepted, rows, rows - len(known), alpha)
        if abs(missing_share - accepted.missing_share) > bounds["missing"]:
            reasons.append(f"missing values went from {accepted.missing_share:.1%} to {missing_share:.1%}")
    if _width(agreed) != _width(described) and accepted.known and len(known):
        reasons.append(f"its width went from {_width(agreed)} to {_width(described)}")
        return Drift(
            column, accepted, rows, missing_share, similarity=similarity, bounds=bounds, reasons=tuple(reasons)
        )
    counts = np.bincount(np.searchsorted(accepted.edges, known), minlength=len(accepted.counts))
    if accepted.mean is not None and accepted.deviation and len(known):
        shift = (float(known.mean()) - accepted.mean) / accepted.deviation
    if min(accepted.known, len(known)) >= MIN_ROWS:
        psi_, ks_ = psi(np.array(accepted.counts), counts), ks(accepted, known)
        bounds["psi"] = psi_bound(accepted.known, len(known), len(counts), alpha)
        bounds["ks"] = ks_bound(accepted.known, len(known), alpha)
        of_what = "" if described is None else " of the lengths"
        if psi_ > bounds["psi"]:
            reasons.append(f"PSI{of_what} {psi_:.2f} is above {bounds['psi']:.2f}")
        if ks_ > bounds["ks"]:
            reasons.append(f"KS{of_what} {ks_:.2f} is above {bounds['ks']:.2f}")
        if agreed is not None and described is not None:
            centroid = centroid_shift(agreed, described)
            if centroid is not None:
                bounds["centroid"] = centroid_bound(agreed, accepted.known, described, len(known), alpha)
                if centroid > bounds["centroid"]:
                    reasons.append(f"centroid shift {centroid:.3f} is above {bounds['centroid']:.3f}")
    return Drift(
        column,
        accepted,
        rows,
        missing_share,
        tuple(counts.tolist()),
        psi_,
        ks_,
        shift,
        centroid,
        similarity,
        bounds,
        tuple(reasons),
    )


def psi(accepted: Counts, counts: Counts) -> float:
    """Population stability index of two histograms: sum over bins of (q - p) ln(q / p) (Siddiqi 2006).

    p = (a + 1/2) / (n + b/2) for a of n values in one of b bins, and q likewise: half a value is added to each bin, so
    that an empty one counts as rare, not as impossible. Without any drift its expectation is about
    (b - 1) (1/n + 1/m), and it is distributed as chi-squared with b - 1 degrees of freedom times (1/n + 1/m)
    (Yurdakul & Naranjo 2020).
    """
    p, q = (
        (histogram + _PSEUDO_COUNT) / (histogram.sum() + _PSEUDO_COUNT * len(histogram))
        for histogram in (np.asarray(accepted, dtype=np.float64), np.asarray(counts, dtype=np.float64))
    )
    return float(((q - p) * np.log(q / p)).sum())


def psi_bound(accepted: int, rows: int, bins: int, alpha: float) -> float:
    """What the PSI of so many accepted and new values may reach: `PSI_BOUND`, or its 1 - alpha quantile by chance."""
    from scipy.special import chdtri

    chance = float(chdtri(bins - 1, alpha)) * (1.0 / accepted + 1.0 / rows) if bins > 1 else 0.0
    return max(PSI_BOUND, chance)


def ks(accepted: Profile, known: Values) -> float:
    """Two-sample Kolmogorov-Smirnov distance of the accepted values, as profiled, and new ones (n,).

    The accepted distribution function is known exactly, from either side, at the points of the profile, and the new
    one everywhere. Between two points the accepted one rises by at most 1 / POINTS, so the distance is at most that
    much too small; never too large, and exact if the accepted values had at most POINTS different ones.
    """
    ordered = np.sort(np.asarray(known, dtype=np.float64))
    below, up_to = (np.searchsorted(ordered, accepted.points, side=side) / len(ordered) for side in ("left", "right"))
    return float(
        max(
            np.abs(np.array(accepted.below) / accepted.known - below).max(),
            np.abs(np.array(accepted.up_to) / accepted.known - up_to).max(),
        )
    )


def ks_bound(accepted: int, rows: int, alpha: float) -> float:
    """What the KS distance may reach: `KS_BOUND`, or sqrt(-ln(alpha / 2) / 2 * (1/n + 1/m)) by chance (Smirnov)."""
    return max(KS_BOUND, math.sqrt(-math.log(alpha / 2.0) / 2.0 * (1.0 / accepted + 1.0 / rows)))


def missing_bound(accepted: Profile, rows: int, missing: int, alpha: float) -> float:
    """What the share of missing values may change by: `MISSING_BOUND`, or z standard errors of two equal shares.

    The common share has one missing and one known value added, so that it is never 0 or 1.
    """
    from scipy.special import ndtri

    share = (accepted.rows - accepted.known + missing + 1.0) / (accepted.rows + rows + 2.0)
    error = math.sqrt(share * (1.0 - share) * (1.0 / accepted.rows + 1.0 / rows))
    return max(MISSING_BOUND, float(-ndtri(alpha / 2.0)) * error)


def centroid_shift(accepted: Vectors, new: Vectors) -> float | None:
    """1 - cosine of two centroids, 0 to 2; None if one of them is 0."""
    a, b = np.array(accepted.centroid), np.array(new.centroid)
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return None if length == 0.0 else min(max(1.0 - float(a @ b) / length, 0.0), 2.0)


def centroid_bound(accepted: Vectors, rows: int, new: Vectors, new_rows: int, alpha: float) -> float:
    """What the centroid shift may reach: `CENTROID_BOUND`, or its 1 - alpha quantile by chance.

    1 - cosine is at most |a - b|^2 / (2 |a| |b|). Without drift the square has the expectation
    tr A / n + tr B / m for covariances A and B, and the distribution of a weighted sum of chi-squares; it is matched by
    one chi-square (Satterthwaite 1946) with the traces of the squared covariances (Bai & Saranadasa 1996).
    """
    from scipy.special import chdtri

    lengths = float(np.linalg.norm(accepted.centroid) * np.linalg.norm(new.centroid))
    expected = accepted.variance / rows + new.variance / new_rows
    if expected <= 0.0 or lengths == 0.0:
        return CENTROID_BOUND
    # tr AB is at most the geometric mean of tr AA and tr BB, and equal to it if A = B.
    squared = (math.sqrt(accepted.squared_variance) / rows + math.sqrt(new.squared_variance) / new_rows) ** 2
    scale, degrees = squared / expected, expected**2 / squared
    return max(CENTROID_BOUND, scale * float(chdtri(degrees, alpha)) / (2.0 * lengths))


def _known(values: Values) -> tuple[Floats, Values | None]:
    """The known numbers of a column; of vectors their lengths, to four digits, and the known vectors."""
    values = np.asarray(values)
    if np.isinf(values).any():
        raise ValueError(f"{int(np.isinf(values).sum())} infinite values")
    if values.ndim == 1:
        return values[~np.isnan(values)].astype(np.float64), None
    if values.ndim != 2:
        raise ValueError(f"a column is (n,) or (n, k), not {values.shape}")
    missing = np.isnan(values).any(axis=1) if values.shape[1] else np.ones(len(values), dtype=np.bool_)
    vectors = values[~missing] if missing.any() else values
    lengths = _lengths(vectors)
    # The rest is rounding: it differs between a CPU and a GPU, and would pass for a change of distribution.
    unit = 10.0 ** (np.floor(np.log10(np.where(lengths > 0.0, lengths, 1.0))) - 3.0)
    return np.round(lengths / unit) * unit, vectors


def _lengths(vectors: Values) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return lengths


def _last_of_bins(times: Counts) -> npt.NDArray[np.intp]:
    """(b,) position of the last distinct value of each bin, from how often each of the (u,) distinct values occurs.

    A value that fills a bin alone (0 in most counts) is a bin; what lies between such values is split evenly. No bin is
    empty.
    """
    n = int(times.sum())
    single = np.flatnonzero(times * BINS >= n)
    ends: list[npt.NDArray[np.intp]] = [single]
    for start, stop in zip(np.r_[0, single + 1], np.r_[single, len(times)], strict=True):
        reached = np.cumsum(times[start:stop])
        if len(reached):
            parts = max(1, round(int(reached[-1]) * BINS / n))
            ends.append(start + np.searchsorted(reached, reached[-1] * np.arange(1, parts + 1) / parts))
    return np.unique(np.concatenate(ends)).astype(np.intp)


def _describe(vectors: Values) -> Vectors:
    """Centroid, spread and health of (n, k) vectors without missing values."""
    n, width = vectors.shape
    lengths = _lengths(vectors)
    centroid = vectors.mean(axis=0, dtype=np.float64) if n else np.zeros(width)
    squares = float(np.square(lengths).sum())
    # What rounding leaves of the difference of two large numbers is no variance.
    variance = (squares - n * float(centroid @ centroid)) / (n - 1) if n > 1 else 0.0
    variance = variance if variance > 1e-9 * squares / max(n, 1) else 0.0
    inverse = np.divide(1.0, lengths, out=np.zeros(n), where=lengths > 0.0)
    # The mean over all pairs of different vectors, from the sum of directions: no pair is looked at.
    together = float(np.square(inverse @ vectors).sum())
    similarity = min(max((together - np.count_nonzero(lengths)) / (n * (n - 1)), -1.0), 1.0) if n > 1 else None
    return Vectors(
        width=width,
        centroid=tuple(float(f"{value:.7g}") for value in centroid),
        variance=variance,
        squared_variance=_squared_variance(vectors, variance),
        off_norm=float((np.abs(lengths - 1.0) > NORM_TOLERANCE).mean()) if n else 0.0,
        similarity=similarity,
        duplicates=1.0 - len({hash(row.tobytes()) for row in vectors}) / n if n else 0.0,
    )


def _squared_variance(vectors: Values, variance: float) -> float:
    """Trace of the squared covariance, free of the bias that few vectors in many dimensions give it.

    Bai & Saranadasa 1996, section 3, from at most `_SPREAD_ROWS` vectors; at least variance^2 / k, which it would be
    with equal variance in all k directions, and at most variance^2, with all of it in one.
    """
    sample = vectors[:: max(1, math.ceil(len(vectors) / _SPREAD_ROWS))].astype(np.float64)
    n, width = sample.shape
    if n < 3 or variance <= 0.0:
        return variance**2
    centred = sample - sample.mean(axis=0)
    products = centred @ centred.T if n < width else centred.T @ centred
    raw = float(np.square(products).sum()) / (n - 1) ** 2
    trace = float(np.trace(products)) / (n - 1)
    unbiased = (n - 1) ** 2 / ((n - 2) * (n + 1)) * (raw - trace**2 / (n - 1))
    return float(min(max(unbiased, variance**2 / width), variance**2))


def _faults(vectors: Vectors) -> dict[str, str]:
    """What is wrong with embeddings, whatever they were before: short name -> words."""
    faults = {}
    if vectors.off_norm > 0.0:
        faults["norm"] = f"{vectors.off_norm:.1%} of the vectors are not of length 1"
    if vectors.similarity is not None and vectors.similarity > COLLAPSED:
        faults["collapse"] = f"collapsed: the mean cosine of two vectors is {vectors.similarity:.3f}"
    if vectors.duplicates > DUPLICATED:
        faults["duplicates"] = f"{vectors.duplicates:.1%} of the vectors repeat another one exactly"
    return faults


def _width(vectors: Vectors | None) -> int:
    return 1 if vectors is None else vectors.width

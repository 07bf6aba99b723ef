"""How far the difference between two titles of one post may be from the one that a predictor expects.

Two titles under one picture, at one time, of one author share most of what a predictor is wrong about, and the luck of
the post besides. The ranges of the two scores (`conformal`) hold all of that, so that comparing them hides nearly every
difference; the difference itself depends on what the predictor is wrong about *because of the title*. Nobody has posted
one thing twice, so that part is told from the rest by how the residuals of posts go together that the predictor has not
learnt from. With r the log score less the expectation, c the part of the expectation that is due to the title, s the
likeness of two titles:

    r = m + (slope - 1) c + u + a + e,    cov(u) = V_title s,    cov(a) = V_author [same author],    cov(e) = V_rest I.

- The slope says what a unit of difference that the predictor expects is worth: 1 if it may be taken at its word.
- u is what it does not know about titles: as far as posts whose titles are alike miss in the same direction, whatever
  else they are. That is a variogram of the residuals over titles (Cressie 1993, "Statistics for spatial data", section
  2.4), and the variance component of a random effect with a given covariance (Yang et al. 2010, Nature Genetics 42,
  "Common SNPs explain a large proportion of the heritability for human height", with titles in the place of genomes).
- Authors have a component of their own, because one author's titles resemble each other.
- Vectors do not tell all that two titles differ in. What they leave out hides in e, where nothing tells it from luck;
  it is taken to be as much as what they show (`UNSEEN`).
- A difference d between two titles is then slope * d + u(A) - u(B): normal, of variance
  var(slope) d^2 + 2 V_title (1 - s), and the unseen part. What the two share has dropped out, luck included, and titles
  that are the same differ by 0 exactly.

A few hundred residuals do not pin the components down, so no one value is taken: the restricted likelihood (Patterson &
Thompson 1971; slope, mean and scale integrated out under flat priors) weighs a grid of them, evenly before the data,
and the interval is that of the mixture of t distributions. Too little data therefore makes wide intervals, never empty
ones. An interval is about what a title is worth on average, not about the luck of two postings; it is conditional on d,
and so holds for the best of many as for any pair. The outcome of several intervals at once is not corrected for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from redpop_assets.arrays import np, npt

Doubles: TypeAlias = "npt.NDArray[np.float64]"

FEWEST: Final = 30
"""Residuals below which nothing is said."""

UNSEEN: Final = 0.5
"""Share of what is not known about titles that the likeness of their vectors does not show.

It cannot be learnt from posts. On communities of the sandbox, whose titles are worth what their theme, tone, length and
story are worth, a third makes intervals that hold what they promise on average, and a half such that those of 90 % do
for the best predictors too (`benchmarks/title_intervals.py`)."""

_TITLE_SHARES: Final = tuple(step / 40 for step in range(38))
"""Of the variance of residuals, due to titles."""
_AUTHOR_SHARES: Final = tuple(step / 10 for step in range(7))
"""Of the rest, due to authors."""
_NEGLIGIBLE: Final = 1e-3
_LEAST_PART: Final = 1e-6
_HALVINGS: Final = 40


@dataclass(frozen=True, eq=False)
class Differences:
    """What the differences between titles that one predictor expects are worth.

    Args:
        weights: (g,) of the points of the grid, their sum is 1.
        slopes: (g,) what a unit of expected difference is worth.
        slope_variances: (g,) of that slope.
        title_variances: (g,) V_title: half the variance that the vectors show of titles that are not alike at all.
        unseen: what they do not show, as if two titles were less alike by so much.
        freedom: degrees of freedom of the t distributions.
        posts: residuals that this was learnt from.
    """

    weights: Doubles
    slopes: Doubles
    slope_variances: Doubles
    title_variances: Doubles
    unseen: float
    freedom: int
    posts: int

    @classmethod
    def fit(
        cls, residuals: Doubles, parts: Doubles, vectors: npt.NDArray[np.float32], authors: Sequence[str | None]
    ) -> Self | None:
        """Learn from posts that the predictor has not learnt from.

        Time grows with the cube of the posts, memory with their square: 300 take a second.

        Args:
            residuals: (n,) log score less expectation.
            parts: (n,) what of the expectation is due to the title, up to a constant.
            vectors: (n, d) L2-normalised, of the titles: their cosine is the likeness.
            authors: n names; None for somebody unknown, who is nobody else.

        Returns:
            None where nothing can be learnt: fewer than `FEWEST` posts, or titles that are all alike to the predictor
            or to each other.

        Raises:
            ValueError: lengths differ, or a value is not finite.
        """
        n = len(residuals)
        if not len(parts) == len(vectors) == len(authors) == n:
            raise ValueError("residuals, parts, vectors and authors must have one entry per post")
        if not all(np.isfinite(values).all() for values in (residuals, parts, vectors)):
            raise ValueError("residuals, parts and vectors must be finite")
        if n < FEWEST or np.ptp(parts) < _LEAST_PART:
            return None
        wide = vectors.astype(np.float64)
        likeness = wide @ wide.T
        unlike = 1.0 - (likeness.sum() - np.trace(likeness)) / (n * (n - 1))
        if unlike < _LEAST_PART:
            return None
        codes = np.unique([f"a{name}" if name else f"n{row}" for row, name in enumerate(authors)], return_inverse=True)
        same_author = (codes[1][:, None] == codes[1][None, :]).astype(np.float64)
        design = np.column_stack([np.ones(n), parts - parts.mean(), residuals])
        # What all titles share drops out with the mean; half the mean square of a difference is the unit of V_title.
        found = [
            (likelihood, slope, variance, title_variance / unlike)
            for author in _AUTHOR_SHARES
            for likelihood, slope, variance, title_variance in _over_title_shares(
                likeness / unlike, author * same_author + (1.0 - author) * np.eye(n), design
            )
        ]
        likelihoods, slopes, variances, title_variances = np.array(found).T
        weights = np.exp(likelihoods - likelihoods.max())
        weights /= weights.sum()
        kept = weights > _NEGLIGIBLE
        return cls(
            weights[kept] / weights[kept].sum(),
            1.0 + slopes[kept],
            variances[kept],
            title_variances[kept],
            UNSEEN / (1.0 - UNSEEN) * unlike,
            n - 2,
            n,
        )

    def interval(self, differences: Doubles, likeness: Doubles, level: int) -> tuple[Doubles, Doubles]:
        """Ends (k,) and (k,) of central intervals of true differences of log scores.

        Args:
            differences: (k,) expected ones.
            likeness: (k,) cosine of the vectors of the two titles, 1 for equal ones.
            level: coverage in percent.
        """
        from scipy import special  # imported by who asks only

        apart = np.where(likeness < 1.0, 1.0 - likeness + self.unseen, 0.0)
        centre = self.slopes[:, None] * differences
        variance = self.slope_variances[:, None] * differences**2 + 2.0 * self.title_variances[:, None] * apart
        known = ~(variance > 0.0).any(axis=0)
        spread = np.sqrt(np.where(variance > 0.0, variance, 1e-24))
        ends = []
        for tail in (0.5 - level / 200, 0.5 + level / 200):
            # Each normal is as much wider as the t distribution is at this tail, which is dearer to add up.
            wide = spread * special.stdtrit(self.freedom, tail) / special.ndtri(tail)
            reach = centre + wide * special.ndtri(tail)
            low, high = reach.min(axis=0), reach.max(axis=0)
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                below = self.weights @ special.ndtr((middle - centre) / wide)
                low, high = np.where(below < tail, middle, low), np.where(below < tail, high, middle)
            ends.append(np.where(known, self.weights @ centre, (low + high) / 2))
        return ends[0], ends[1]


def _over_title_shares(
    of_titles: Doubles, of_others: Doubles, design: Doubles
) -> Iterator[tuple[float, float, float, float]]:
    """Restricted log likelihood, slope, its variance and V_title for each share of the titles.

    Args:
        of_titles, of_others: (n, n) covariances, of which each share makes a mixture.
        design: (n, 3) ones, the regressor, what is explained.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1, user_api="blas"):  # threads that wait for each other cost more than they do here
        factor = np.linalg.cholesky(of_others)
        white = np.linalg.inv(factor)
        # In these axes every mixture of the two is diagonal, so that one decomposition serves all shares.
        spectrum, axes = np.linalg.eigh(white @ of_titles @ white.T)
        seen = axes.T @ (white @ design)
    volume = np.log(np.diag(factor)).sum()
    for title in _TITLE_SHARES:
        likelihood, slope, variance, scale = _restricted(title * np.clip(spectrum, 0.0, None) + 1.0 - title, seen)
        yield likelihood - volume, slope, variance, title * scale


def _restricted(variances: Doubles, design: Doubles) -> tuple[float, float, float, float]:
    """Restricted log likelihood of the last column, independent with variances up to scale; slope, its variance, scale.

    Args:
        variances: (n,) above 0.
        design: (n, 3) the constant, the regressor, what is explained.
    """
    n = len(design)
    weighed = design / np.sqrt(variances)[:, None]
    known, explained = weighed[:, :2], weighed[:, 2]
    gram = known.T @ known
    beta = np.linalg.solve(gram, known.T @ explained)
    rest = explained - known @ beta
    squares = max(float(rest @ rest), 1e-12)
    scale = squares / (n - 2)
    likelihood = -0.5 * (np.log(variances).sum() + np.linalg.slogdet(gram)[1] + (n - 2) * np.log(squares))
    return float(likelihood), float(beta[1]), float(np.linalg.inv(gram)[1, 1] * scale), scale

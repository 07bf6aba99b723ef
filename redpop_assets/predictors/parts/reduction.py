"""From blocks to a few comparable numbers: several of them side by side, and their principal components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.dataset import MOST_DEVIATIONS, Block, Dataset, Floats

MOST_ROWS = 2000
LEAST_VARIANCE = 1e-6  # of the largest: below is rounding


def side_by_side(data: Dataset, columns: Mapping[str, Iterable[str]]) -> Block:
    """Columns of several blocks as one block that every post has; what a post lacks is NaN.

    Args:
        columns: block -> columns of it, in the wanted order; named `block.column` in the result.
    """
    parts = [data.blocks[name].pick(tuple(wanted)) for name, wanted in columns.items()]
    return Block(
        np.hstack([np.empty((len(data), 0), np.float32), *(part.values for part in parts)]),
        tuple(f"{name}.{column}" for name, part in zip(columns, parts, strict=True) for column in part.columns),
        np.ones(len(data), dtype=np.bool_),
    )


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Standardise, project onto the directions of largest variance, and bring those to deviation 1.

    Fitted on the train part only. Means and deviations come from all its posts, the directions from at most `MOST_ROWS`
    of them, evenly spaced, because the cost grows with the cube of their number (or of the number of columns, if
    that is smaller).

    Args:
        mean, deviation: (d,) float32 of the columns.
        directions: (d, k) float32, the largest variance first, scaled so that the scores have deviation 1.
        centre: (k,) float32, mean score.
        explained: (k,) float32, share of the variance of the standardised columns that each component holds.
    """

    mean: Floats
    deviation: Floats
    directions: Floats
    centre: Floats
    explained: Floats

    @classmethod
    def fit(cls, block: Block, most: int) -> PrincipalComponents:
        """At most `most` components; fewer where the columns hold fewer."""
        from scipy.linalg import eigh

        mean, deviation = block.moments()
        chosen = np.unique(np.linspace(0, len(block.values) - 1, MOST_ROWS).astype(np.intp))
        standardised = block.take(chosen).standardised(mean, deviation).astype(np.float64)
        shift = standardised.mean(axis=0)
        standardised -= shift
        n, d = standardised.shape
        count = min(most, n, d)
        # The smaller of the two products has the same variances.
        tall = d <= n
        product = standardised.T @ standardised if tall else standardised @ standardised.T
        variances, vectors = eigh(product, subset_by_index=[len(product) - count, len(product) - 1])
        kept = variances[::-1] > LEAST_VARIANCE * max(float(np.trace(product)), LEAST_VARIANCE)
        variances, vectors = variances[::-1][kept], vectors[:, ::-1][:, kept]
        directions = vectors if tall else standardised.T @ vectors / np.sqrt(variances)
        # The sign of a direction is arbitrary; fix it, so that equal data give equal files everywhere.
        signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
        directions = directions * signs * np.sqrt(n / variances)
        return cls(
            mean,
            deviation,
            np.ascontiguousarray(directions.astype(np.float32)),
            (shift @ directions).astype(np.float32),
            (variances / max(float(np.trace(product)), LEAST_VARIANCE)).astype(np.float32),
        )

    def scores(self, block: Block) -> Floats:
        """(n, k) components, in deviations, bounded like all standardised values; an unknown value counts as mean."""
        scores = block.standardised(self.mean, self.deviation) @ self.directions - self.centre
        return np.asarray(np.clip(scores, -MOST_DEVIATIONS, MOST_DEVIATIONS), dtype=np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The fields by name, to be stored; `PrincipalComponents(**arrays)` is the same again."""
        return dict(vars(self))

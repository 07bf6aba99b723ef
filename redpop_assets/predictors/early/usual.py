"""What readings usually tell in a community at an age of the post and an hour of the day, and how far one is from it.

Least squares on the logarithm of the age of the reading and a smooth daily curve, fitted on the train part; no
label is looked at. One mean would not do: a post that was read at 50 minutes has fewer points than one that was read at
60, and at night everything is slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.dataset import Block, Floats

COMPARED: Final = (
    *("log_score", "upvote_ratio", "log_comments", "rank_new", "rank_hot", "rank_rising"),
    *("score_speed", "score_speed_change", "comment_speed", "comment_speed_change"),
)
"""Columns of the early block that are compared with what is usual."""

AGE: Final = "reading_age_hours"
FEWEST: Final = 30
"""Posts that a column has to be known of, to say what is usual."""
PENALTY: Final = 1.0  # in posts: an age that never differs has no slope


@dataclass(frozen=True, eq=False)
class Usual:
    """Curves of some columns.

    Attributes:
        columns: names.
        coefficients: (len(columns), 6) of 1, log age, and sine and cosine of the hour and of twice the hour.
    """

    columns: tuple[str, ...]
    coefficients: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, block: Block, created_at: npt.NDArray[np.datetime64]) -> Self:
        """Of the posts of the train part; a column that is known of fewer than `FEWEST` is left out."""
        design = _design(block, created_at)
        columns, found = [], []
        for name in COMPARED:
            values = block.values[:, block.columns.index(name)].astype(np.float64)
            known = ~np.isnan(values)
            if known.sum() >= FEWEST:
                inputs, middle = design[known], values[known].mean()
                penalty = PENALTY * np.diag([0.0, *[1.0] * (design.shape[1] - 1)])
                slopes = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ (values[known] - middle))
                slopes[0] += middle
                columns.append(name)
                found.append(slopes)
        return cls(tuple(columns), np.array(found).reshape(len(columns), design.shape[1]))

    def beside(self, block: Block, created_at: npt.NDArray[np.datetime64]) -> Block:
        """The block with a column `usual_…` for each of these: how much more it is than usual."""
        if not self.columns:
            return block
        expected = _design(block, created_at) @ self.coefficients.T
        at = [block.columns.index(name) for name in self.columns]
        beyond: Floats = (block.values[:, at] - expected).astype(np.float32)
        return Block(
            np.hstack([block.values, beyond]),
            (*block.columns, *(f"usual_{name}" for name in self.columns)),
            block.present,
        )

    def described(self) -> dict[str, Any]:
        """For JSON; `Usual.of` is the inverse."""
        return {name: row.tolist() for name, row in zip(self.columns, self.coefficients, strict=True)}

    @classmethod
    def of(cls, described: dict[str, list[float]]) -> Self:
        """The inverse of `described`."""
        return cls(tuple(described), np.array(list(described.values())).reshape(len(described), -1))


def _design(block: Block, created_at: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
    """(n, 6); the hour is that of the reading."""
    age = np.nan_to_num(block.values[:, block.columns.index(AGE)].astype(np.float64), nan=1.0)
    midnight = created_at.astype("datetime64[D]")
    hour = (created_at - midnight) / np.timedelta64(1, "h") + age
    angle = 2 * np.pi * hour / 24
    columns = [np.ones(len(age)), np.log(np.maximum(age, 1 / 60)), np.sin(angle), np.cos(angle)]
    return np.column_stack([*columns, np.sin(2 * angle), np.cos(2 * angle)])

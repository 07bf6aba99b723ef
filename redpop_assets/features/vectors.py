"""Vectors of many posts, some of which have none: only those that are there take memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.past import Doubles, Flags, Floats, Ints

_ROWS: Final = 4_096  # vectors that are looked at together


class Vectors:
    """Vectors of n posts, of which p have one.

    Args:
        rows: (p,) places of the posts that have one, ascending.
        values: (p, d) float32 theirs; kept, and not copied.
        count: n.

    Raises:
        ValueError: the shapes do not fit, places are not ascending, or a vector is partly missing.
    """

    def __init__(self, rows: Ints, values: Floats, count: int) -> None:
        if values.ndim != 2 or rows.shape != values.shape[:1]:
            raise ValueError(f"values must have shape ({len(rows)}, d), not {values.shape}")
        if (np.diff(rows, prepend=-1, append=count) < 1).any():
            raise ValueError(f"rows must be ascending places of {count} posts")
        if not all(np.isfinite(some).all() for some in _parts(values)):
            raise ValueError("a vector is partly missing or infinite")
        self.rows, self.values = rows, values
        self.places = np.full(count, -1, dtype=np.int64)
        """(n,) the row of `values` that belongs to each post; -1 for posts that have none."""
        self.places[rows] = np.arange(len(rows))

    @classmethod
    def of(cls, vectors: Floats, name: str) -> Vectors:
        """Vectors (n, d), rows of NaN where a post has none; `name` is what an error calls them.

        Raises:
            ValueError: as `present_rows`.
        """
        rows = np.flatnonzero(present_rows(vectors, name))
        return cls(rows, vectors if len(rows) == len(vectors) else vectors[rows], len(vectors))

    @classmethod
    def none(cls, count: int) -> Vectors:
        """Of n posts that have none, not even a width."""
        return cls(np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32), count)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Ints) -> Floats:
        """(m, d) float32 of m of the posts, in their order; rows of NaN where a post has none."""
        places = self.places[rows]
        missing = places < 0
        if not missing.any():
            return self.values[places]
        found = np.full((len(places), self.width), np.nan, dtype=np.float32)
        found[~missing] = self.values[places[~missing]]
        return found

    @property
    def width(self) -> int:
        """d; 0 where nobody ever had a vector."""
        return int(self.values.shape[1])

    @property
    def there(self) -> Flags:
        """(n,) which posts have one."""
        found: Flags = self.places >= 0
        return found

    def lengths(self) -> Doubles:
        """(n,) their Euclidean lengths; 0 for those that are missing."""
        found = np.zeros(len(self))
        found[self.rows] = np.concatenate(
            [np.empty(0), *(np.sqrt((some.astype(np.float64) ** 2).sum(axis=1)) for some in _parts(self.values))]
        )
        return found


def present_rows(vectors: npt.NDArray[np.floating], name: str) -> Flags:
    """Which of n vectors are there: (n,). A row of NaN is a vector that is missing, and so is one of width 0.

    Raises:
        ValueError: the shape is not (n, d), or a row has values but not all of them, or infinite ones.
    """
    if vectors.ndim != 2:
        raise ValueError(f"{name} must have shape (n, d), not {vectors.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        there: Flags = np.isfinite(vectors.sum(axis=1, dtype=np.float64))
    if not vectors.shape[1]:
        return np.zeros(len(vectors), dtype=np.bool_)
    odd = np.flatnonzero(~there)
    if not all(np.isnan(vectors[odd[first : first + _ROWS]]).all() for first in range(0, len(odd), _ROWS)):
        raise ValueError(f"{name} has rows that are partly missing or infinite; a missing vector is a row of NaN")
    return there


def _parts(values: Floats) -> Iterator[Floats]:
    return (values[first : first + _ROWS] for first in range(0, len(values), _ROWS))

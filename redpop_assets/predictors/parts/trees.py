"""What LightGBM learns from: its own binned copy, one byte per value, filled some rows at a time.

A matrix of all inputs, eight bytes per value, is never made: a training takes little more memory than its data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from redpop_assets.arrays import np, npt

if TYPE_CHECKING:
    import lightgbm

Rows: TypeAlias = "Callable[[slice], npt.NDArray[Any]]"
"""Inputs of some posts: (rows, d) float32 or float64, NaN where unknown."""

ROWS_AT_ONCE = 4096
ROWS_FOR_BINS = 20_000
"""Posts, drawn at random, that say where the bins of a column end: the only inputs that are held as doubles."""


def binned(rows: Rows, labels: npt.NDArray[Any], parameters: dict[str, Any], **options: Any) -> lightgbm.Dataset:
    """The inputs of n posts as LightGBM keeps them.

    Args:
        rows: called with slices of at most `ROWS_AT_ONCE` posts.
        labels: (n,) what is to be learnt.
        parameters: those of the training, which decide about the bins, too.
        options: of `lightgbm.Dataset`, such as the names of the columns or the dataset whose bins to use.
    """
    import lightgbm

    class Inputs(lightgbm.Sequence):
        batch_size = ROWS_AT_ONCE

        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: Any) -> npt.NDArray[np.float64]:
            one = not isinstance(index, slice)
            found = rows(slice(index, index + 1) if one else index).astype(np.float64)
            return np.asarray(found[0]) if one else found

    wanted = parameters | {"bin_construct_sample_cnt": ROWS_FOR_BINS}
    return lightgbm.Dataset(Inputs(), labels, params=wanted, **options).construct()


def predicted(booster: lightgbm.Booster, rows: Rows, length: int, **options: Any) -> npt.NDArray[np.float64]:
    """What the trees say of so many posts, (length,); `options` are those of `Booster.predict`."""
    found = np.empty(length)
    for first in range(0, length, ROWS_AT_ONCE):
        some = slice(first, min(first + ROWS_AT_ONCE, length))
        found[some] = booster.predict(rows(some), num_threads=1, **options)
    return found

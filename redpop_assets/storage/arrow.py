"""The forms in which values enter the warehouse: arrays as columns of Arrow tables, times without a zone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_table(columns: Mapping[str, Sequence[object] | npt.NDArray[np.generic]]) -> pa.Table:
    """Build a table; an array of shape (n, k) becomes a column of fixed-size lists of k values."""
    arrays = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 2 and not values.shape[1]:
            arrays[name] = pa.array([[]] * len(values), pa.list_(pa.from_numpy_dtype(values.dtype)))
        elif isinstance(values, np.ndarray) and values.ndim == 2:
            arrays[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        else:
            arrays[name] = pa.array(values)
    return pa.table(arrays)


def naive_utc(moment: datetime) -> datetime:
    """An aware moment in UTC without its zone, as the warehouse keeps it.

    Raises:
        ValueError: the moment has no zone, so nobody knows when it was.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; times of answers are aware")
    return moment.astimezone(UTC).replace(tzinfo=None)


def utc_now() -> datetime:
    """This machine's time, as the warehouse keeps it."""
    return naive_utc(datetime.now(UTC))

"""Between numpy arrays and Arrow tables: the form in which computed columns enter the warehouse."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_table(columns: Mapping[str, Sequence[object] | npt.NDArray[np.generic]]) -> pa.Table:
    """Build a table; an array of shape (n, k) becomes a column of fixed-size lists of k values."""
    arrays = {}
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 2:
            arrays[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        else:
            arrays[name] = pa.array(values)
    return pa.table(arrays)

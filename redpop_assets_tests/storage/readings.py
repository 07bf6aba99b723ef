"""Rows of core.readings, the table of the small schema that these tests share."""

import pyarrow as pa

TYPES = pa.schema(
    {
        "post": pa.string(),
        "hour": pa.int32(),
        "score": pa.int32(),
        "ratio": pa.float32(),
        "vector": pa.list_(pa.float32()),
        "json": pa.string(),
        "seen": pa.timestamp("us"),
    }
)


def table(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist([{"post": "a", "hour": 0, **row} for row in rows], schema=TYPES)

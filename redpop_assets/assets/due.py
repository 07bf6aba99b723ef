"""Which content of a community still lacks its features, and computing it chunk by chunk.

Every feature of content is keyed by that content and by the version (code, network) that made it: an anti-join finds
what is due, each chunk is written as soon as it is ready, and a run that was killed goes on where it was.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, overload

import dagster as dg
import numpy as np
import pyarrow as pa
from PIL.Image import Image

from redpop_assets.errors import RedPopError
from redpop_assets.images.decode import open_rgb
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

CHEAP_CHUNK = 16_384
"""Rows between two writes where a row takes well under a millisecond: what opening the file, merging into a large table
and committing take is then little beside the computing, which a killed run loses a few seconds of."""

_HEADER = 64  # edge to which a picture is decoded to learn whether it can be (pixels)


Compute = Callable[[pa.Table], Mapping[str, pa.Table]]
"""From rows that are due to rows by the name of their table."""


@dataclass(frozen=True)
class Subject:
    """What features are about: the SQL that lists it for a community, and the columns that identify one."""

    sql: str
    keys: tuple[str, ...]


Kind = Literal["image", "caption", "pair", "post"]

SUBJECTS: Mapping[Kind, Subject] = {
    "image": Subject(
        "SELECT DISTINCT i.image_sha256, i.path, i.width, i.height FROM core.posts AS p "
        "JOIN core.primary_images USING (post_id) JOIN core.images AS i USING (image_sha256)",
        ("image_sha256",),
    ),
    "caption": Subject("SELECT DISTINCT p.caption_sha256, p.caption FROM core.posts AS p", ("caption_sha256",)),
    "pair": Subject(
        "SELECT DISTINCT p.caption_sha256, i.image_sha256 FROM core.posts AS p "
        "JOIN core.primary_images AS i USING (post_id)",
        ("caption_sha256", "image_sha256"),
    ),
    "post": Subject("SELECT p.post_id, p.created_at FROM core.posts AS p", ("post_id",)),
}
"""The pictures, captions, pairs of both, and posts of a community."""


def due_content(
    warehouse: Warehouse,
    kind: Kind,
    subreddit: str,
    tables: Mapping[str, str],
    *,
    made_from: Mapping[str, str] = MappingProxyType({}),
    **same: str,
) -> pa.Table:
    """Content of a subreddit that has no row in one of the tables.

    Args:
        warehouse: where to look.
        kind: what the tables are about.
        subreddit: in lower case.
        tables: table -> code version of the rows that count.
        made_from: likewise, tables without whose rows nothing can be computed: content that lacks one is not due yet.
        same: further columns, such as `encoder`, and the value they have in the rows that count, in the tables that
            have such a column.

    Returns:
        The columns of `SUBJECTS[kind]`, in the order of its keys.
    """
    subject = SUBJECTS[kind]
    params = {"subreddit": subreddit, **same}

    def row_of(table: str, code_version: str) -> str:
        columns = warehouse.schema[table].column_names
        params[version := f"version_{len(params)}"] = code_version
        conditions = [f"t.{key} = s.{key}" for key in subject.keys if key in columns]
        conditions += [f"t.{name} = ${name}" for name in same if name in columns]
        return f"EXISTS (FROM {table} AS t WHERE {' AND '.join(conditions)} AND t.code_version = ${version})"

    missing = " OR ".join(f"NOT {row_of(*table)}" for table in tables.items())
    there = "".join(f" AND {row_of(*table)}" for table in made_from.items())
    return warehouse.query(
        f"FROM ({subject.sql} WHERE p.subreddit = $subreddit) AS s WHERE ({missing}){there} "
        f"ORDER BY {', '.join(subject.keys)}",
        params,
    )


def compute_due(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    due: pa.Table,
    compute: Compute,
    chunk_size: int,
) -> dict[str, float]:
    """Compute the due rows chunk by chunk, each written as it is ready, and report what it took.

    `compute` gets some of the rows of `due` and returns rows by the name of their table.
    """
    began = time.perf_counter()
    for start in range(0, due.num_rows, chunk_size):
        made = compute(due.slice(start, chunk_size))
        with warehouse.write() as writer:
            for table, rows in made.items():
                writer.merge(table, rows)
        context.log.info(f"{min(start + chunk_size, due.num_rows)} of {due.num_rows} rows")
    return cost_of(due.num_rows, time.perf_counter() - began)


def cost_of(rows: int, seconds: float) -> dict[str, float]:
    """Metadata of every asset that computes rows of content."""
    return {
        "rows_computed": rows,
        "compute_seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds, 1) if rows else 0.0,
    }


def keyed(rows: pa.Table, keys: Sequence[str], features: Mapping[str, np.ndarray], **same: str) -> pa.Table:
    """Rows of a feature table: the keys of some content, what all rows have in common, and the features."""
    return arrow_table(
        {
            **{key: rows.column(key).to_pylist() for key in keys},
            **{name: [value] * rows.num_rows for name, value in same.items()},
            **features,
        }
    )


class StoredPictures(Sequence[Image]):
    """The pictures of rows with `path`, each opened when it is asked for."""

    def __init__(self, store: ImageStore, rows: pa.Table, *, draft_edge: int | None = None) -> None:
        self._store = store
        self._paths = rows.column("path").to_pylist()
        self._draft_edge = draft_edge

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        """The picture of one row, decoded at a fraction of its size if that keeps twice `draft_edge`."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return open_rgb(self._store.read(self._paths[index]), draft_edge=self._draft_edge)


def without_unreadable(context: dg.AssetExecutionContext, store: ImageStore, compute: Compute) -> Compute:
    """A `compute` for pictures that leaves out those whose files are missing or damaged, and says so in the log.

    One bad file must not hold up the others: `redpop images verify` finds it and fetches it again.
    """

    def computed(rows: pa.Table) -> Mapping[str, pa.Table]:
        try:
            return compute(rows)
        except (RedPopError, OSError):
            readable = pa.array([_can_be_opened(context, store, path) for path in rows.column("path").to_pylist()])
            kept = rows.filter(readable)
            if kept.num_rows == rows.num_rows:
                raise
            return compute(kept) if kept.num_rows else {}

    return computed


def _can_be_opened(context: dg.AssetExecutionContext, store: ImageStore, path: str) -> bool:
    try:
        open_rgb(store.read(path), draft_edge=_HEADER)
    except (RedPopError, OSError) as error:
        context.log.warning(f"{path} was left out: {error}")
        return False
    return True

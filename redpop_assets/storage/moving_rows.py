"""Copies the rows of a warehouse into an empty one of any form, and makes sure that they arrived."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.schema import Table
from redpop_assets.storage.warehouse import Warehouse

log = logging.getLogger(__name__)

MARK: Final = "moving.json"
"""The file of the target's home that says that its rows are those of an unfinished move."""

_BYTES: Final = 64_000_000  # of rows in memory; some of them make known how many rows that is
_SAMPLE: Final = 200
_MOST_ROWS: Final = 100_000
_NUMBER: Final = "number_of_row"


@dataclass(frozen=True)
class MovedTable:
    """A table that is at the target: its name, how many rows it has, and whether it was there from an earlier try."""

    name: str
    rows: int
    kept: bool


class _Digest(NamedTuple):
    """Number of rows, and a text that is the same where they are."""

    rows: int
    total: str


_NO_ROWS: Final = _Digest(0, "0")


def move_rows(
    source: Warehouse, target: Warehouse, mark: Path, progress: Callable[[MovedTable], None] | None = None
) -> list[MovedTable]:
    """Copy every table into an empty warehouse, then publish it; nothing of the source is changed.

    A move that was killed goes on when it is started again: tables that are equal already are left alone. Nobody else
    may write at either place meanwhile; what was written at the source is noticed at the end.

    Args:
        source: the warehouse that has the rows.
        target: one of the same source of posts, made where there is none.
        mark: the file that says that the target is filled by this move.
        progress: told of each table.

    Raises:
        WarehouseError: the target has rows of something else; or a table is not the same at both places at the end.
    """
    tables = [table for table in source.schema.values() if not table.is_view]
    with target.write():
        pass  # there is one now
    moved = []
    with source.kept(), target.kept():
        there = _digests(target, tables)
        _claim(source, there, mark)
        for name, digest in _digests(source, tables).items():
            kept = there[name] == digest
            if not kept:
                _copy(source, target, source.schema[name])
            moved.append(MovedTable(name, digest.rows, kept and digest.rows > 0))
            if progress:
                progress(moved[-1])
        after, there = _digests(source, tables), _digests(target, tables)
        differing = [name for name in after if after[name] != there[name]]
    if differing:
        raise WarehouseError(
            f"Not the same at both places: {', '.join(differing)}. Something wrote there meanwhile: stop RedPop at "
            "both places and move again; what is equal is not copied again."
        )
    target.publish()
    mark.unlink()
    return moved


def _claim(source: Warehouse, there: Mapping[str, _Digest], mark: Path) -> None:
    """Make sure that the target is empty or of an earlier try, and note that it is filled from here."""
    ours = json.dumps({"from": str(source.published.parent)})
    try:
        if mark.read_text(encoding="utf-8") == ours:
            return
    except FileNotFoundError:
        pass
    filled = [name for name, digest in there.items() if name != "raw.source" and digest.rows]
    if filled:
        raise WarehouseError(
            f"The target has rows already ({', '.join(filled[:3])}{', …' if len(filled) > 3 else ''}), and they are "
            "not those of a move from here that was stopped: name an empty place."
        )
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(ours, encoding="utf-8")


def _copy(source: Warehouse, target: Warehouse, table: Table) -> None:
    with target.write() as writer:
        writer.execute(f"DELETE FROM {table.name}")
    for rows in _pieces(source, table):
        target.merge(table.name, rows)  # a writer has entered the source of posts by itself, at another time


def _pieces(source: Warehouse, table: Table) -> Iterator[pa.Table]:
    """The rows in pieces of about `_BYTES`, in the order of their numbers; nothing is open in between."""
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    some = source.query(f"SELECT {columns} FROM {table.name} LIMIT {_SAMPLE}")
    size = max(1, min(_MOST_ROWS, _BYTES * some.num_rows // max(1, some.nbytes)))
    # From row to row and not by ranges: in a lake the numbers of rows may begin anew at 10**18.
    after = -1
    while True:
        rows = source.query(
            f"SELECT rowid AS {_NUMBER}, {columns} FROM {table.name} WHERE rowid > $after ORDER BY rowid LIMIT $size",
            {"after": after, "size": size},
        )
        if rows.num_rows:
            after = rows.column(_NUMBER)[-1].as_py()
            yield rows.drop_columns([_NUMBER])
        if rows.num_rows < size:
            return


def _digests(warehouse: Warehouse, tables: list[Table]) -> dict[str, _Digest]:
    """Number and digest of the rows of each table at one moment, by its name."""
    with warehouse.read() as reader:
        return {table.name: _digest(reader, table) for table in tables}


def _digest(reader: Reader, table: Table) -> _Digest:
    """Number and digest of the rows, whatever their order and that of the columns, vectors included.

    A vector has a length in its type in one form of the warehouse and none in another.
    """
    if not reader.scalar(f"SELECT count(*) FROM {table.name}"):
        return _NO_ROWS
    columns = ", ".join(
        f'"{column.name}"::FLOAT[]' if column.type.startswith("FLOAT[") else f'"{column.name}"'
        for column in table.columns
    )
    found = reader.query(
        f"SELECT count(*) AS rows, sum(hash({columns})::HUGEINT)::VARCHAR AS total FROM {table.name}"
    ).to_pylist()[0]
    return _Digest(int(found["rows"]), str(found["total"]))

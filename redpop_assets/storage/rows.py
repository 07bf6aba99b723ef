"""How rows get in and out of the warehouse: SQL on an open connection, and writes by column name and key.

Who may connect, and when, belongs in `redpop_assets.storage.warehouse`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Protocol

import duckdb
import pyarrow as pa

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.schema import Column, Schema, Table

Params = Mapping[str, Any] | Sequence[Any] | None

SPARING: Final = 192_000_000
"""Bytes that DuckDB may keep of what it scans once, such as vectors, whatever else it may take."""

_BYTES = {"bytes": 1, **{f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", 1)}}

_ROWS_STREAMED = 8_192  # with vectors of 1,700 numbers some 60 MB
_ARROW_TYPES: dict[str, pa.DataType] = {}
_LONG = ("FLOAT[", "BLOB")  # types of vectors, and of what is still in space


@dataclass(frozen=True)
class Merged:
    """What a merge did; rows that were there already with equal values count in no number."""

    inserted: int
    updated: int
    deleted: int = 0

    @property
    def changed(self) -> int:
        """Rows that are not what they were."""
        return self.inserted + self.updated + self.deleted


class Reader:
    """SQL on an open connection. Times come out as TIMESTAMP without zone, meaning UTC."""

    def __init__(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> None:
        self._conn = conn
        self.schema = schema

    def query(self, sql: str, params: Params = None, **given: pa.Table) -> pa.Table:
        """All rows of a statement. `params` is a dict for `$name` or a list for `?` placeholders.

        Keywords are tables that the statement may name, for long lists: as parameters they would be converted value by
        value.
        """
        for name, rows in given.items():
            self._conn.register(name, rows)
        try:
            return self._as_declared(self._execute(sql, params).to_arrow_table())
        finally:
            for name in given:
                self._conn.unregister(name)

    def streamed(self, sql: str, params: Params = None, **given: pa.Table) -> Iterator[pa.RecordBatch]:
        """The rows of a statement, some at a time: only they are in memory. Arguments as of `query`.

        There is one batch at least: without a row, an empty one of these columns. Nothing else is read here until the
        last of them were taken.
        """
        for name, rows in given.items():
            self._conn.register(name, rows)
        try:
            batches = self._execute(sql, params).to_arrow_reader(_ROWS_STREAMED)
            first = next(batches, pa.RecordBatch.from_pylist([], batches.schema))
            for batch in chain([first], batches):
                yield self._as_declared(batch)
        finally:
            for name in given:
                self._conn.unregister(name)

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """A block in which DuckDB keeps little of what it reads, for much that is read once and kept elsewhere.

        In all connections of this process to the same database. Where so much is in use that it does not get by with
        `SPARING`, everything stays as it is.
        """
        most, unit = self.scalar("SELECT current_setting('memory_limit')").split()
        if float(most) * _BYTES[unit] <= SPARING:  # the deployment has less, or somebody else is at it
            yield
            return
        # DuckDB tells one decimal and cuts the rest off: with half of one more it does not sink from block to block.
        usual = f"{most}5 {unit}"
        try:
            self._conn.execute(f"SET memory_limit = '{SPARING}B'")
        except duckdb.OutOfMemoryException:
            self._conn.execute(f"SET memory_limit = '{usual}'")
        try:
            yield
        finally:
            self._conn.execute(f"SET memory_limit = '{usual}'")

    def scalar(self, sql: str, params: Params = None) -> Any:
        """First column of the first row, as a Python value; None when there is no row."""
        row = self._execute(sql, params).fetchone()
        return None if row is None else row[0]

    def fingerprint(self, table: str, where: str = "TRUE", params: Params = None) -> str:
        """Digest of the rows of `table` that satisfy `where`, whatever their order: equal rows, equal digest.

        Count and sum of the 64-bit hashes of rows; comparable between sessions of one DuckDB release. Of rows that are
        keyed by a version of code, vectors are left out: they follow from the key, and are most of the bytes.
        """
        return self.counted(table, where, params)[2]

    def counted(self, table: str, where: str = "TRUE", params: Params = None) -> tuple[int, int, str]:
        """Rows of `table`, those of them that satisfy `where`, and the `fingerprint` of these, from one scan."""
        hashed = _hashed(_table(self.schema, table))
        everything, rows, total = self._execute(
            f"SELECT (SELECT count(*) FROM {table}), count(*), coalesce(sum({hashed}::HUGEINT), 0) "
            f"FROM {table} AS redpop_row WHERE {where}",
            params,
        ).fetchall()[0]
        return everything, rows, f"{rows}-{total:x}"

    def fingerprints(self, table: str, subreddits: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Number of the rows of each of some communities, and the digest that `fingerprint` has of them."""
        hashed = _hashed(_table(self.schema, table))
        found = self._execute(
            f"SELECT subreddit, count(*), sum({hashed}::HUGEINT) FROM {table} AS redpop_row "
            "WHERE list_contains($subreddits, subreddit) GROUP BY subreddit",
            {"subreddits": list(subreddits)},
        ).fetchall()
        digests = {name: (rows, f"{rows}-{total:x}") for name, rows, total in found}
        return {name: digests.get(name, (0, "0-0")) for name in subreddits}

    def _as_declared(self, rows: Any) -> Any:
        """A table or batch in the types that columns of tables have, where a result has them in others."""
        return rows

    def _execute(self, sql: str, params: Params) -> duckdb.DuckDBPyConnection:
        return self._conn.execute(sql, params or None)


class Readable(Protocol):
    """Whoever only reads need not know what it is: the warehouse of the pipeline, or one edition of the published file.

    Attributes:
        schema: the tables that there are.
    """

    schema: Schema

    def read(self) -> AbstractContextManager[Reader]:
        """A block in which everything that is read is of one moment."""

    def query(self, sql: str, params: Params = None) -> pa.Table:
        """All rows of a statement; see `Reader.query`."""

    def scalar(self, sql: str, params: Params = None) -> Any:
        """First column of the first row; see `Reader.scalar`."""


class Writer(Reader):
    """SQL inside one transaction, for statements that belong together; `Warehouse.write()` commits it."""

    def execute(self, sql: str, params: Params = None) -> int:
        """Run a statement and return how many rows it inserted, updated or deleted (0 for other statements)."""
        result = self._execute(sql, params)
        row = result.fetchone()
        is_count = [column[0] for column in result.description or []] == ["Count"]
        return int(row[0]) if is_count and row is not None else 0

    def erase(self, sql: str, params: Params = None) -> int:
        """As `execute`, for content that has to be gone: publishing will leave no trace of it in either file.

        DuckDB marks rows as deleted and keeps their bytes in free blocks for as long as nothing else needs the space.
        """
        changed = self.execute(sql, params)
        if changed:
            self.execute("UPDATE main.warehouse_state SET erasures_pending = TRUE WHERE NOT erasures_pending")
        return changed

    def merge(self, table: str, rows: pa.Table) -> Merged:
        """Insert the rows whose key is new and update those that differ; of rows with one key the last counts.

        Columns are matched by name and cast without loss.
        Raises `WarehouseError` when a column is missing, unknown, of another type, or NULL where it must not be.
        """
        definition = _table(self.schema, table)
        values = [name for name in definition.column_names if name not in definition.key]
        differs = " OR ".join(f't."{name}" IS DISTINCT FROM s."{name}"' for name in values)
        return self._merge_into(definition, rows, differs, keep="max")

    def append(self, table: str, rows: pa.Table) -> int:
        """Insert the rows whose key is new, leave all others alone, and return the number inserted.

        Of rows with one key the first counts. Columns as in `merge`, and the same errors.
        """
        return self._merge_into(_table(self.schema, table), rows, "", keep="min").inserted

    def replace(self, table: str, rows: pa.Table, where: str, params: Params = None) -> Merged:
        """Make `rows` all that satisfies `where`: merge them, and delete the others. Equal rows are left alone.

        Columns as in `merge`, and the same errors.
        """
        merged = self.merge(table, rows)
        key = ", ".join(f'"{name}"' for name in self.schema[table].key)
        self._conn.register("redpop_keys", self._checked(self.schema[table], rows))
        try:
            deleted = self.execute(
                f"DELETE FROM {table} WHERE ({where}) AND ({key}) NOT IN (SELECT ({key}) FROM redpop_keys)", params
            )
        finally:
            self._conn.unregister("redpop_keys")
        return Merged(merged.inserted, merged.updated, deleted)

    def _merge_into(self, table: Table, rows: pa.Table, differs: str, *, keep: str) -> Merged:
        if not table.key:
            raise WarehouseError(f"{table.name} has no key: add '| key: …' to the table comment of its SQL file.")
        checked = _one_of_each(self._checked(table, rows), table.key, keep)
        if not checked.num_rows:
            return Merged(0, 0)
        same_key = " AND ".join(f't."{name}" = s."{name}"' for name in table.key)
        self._conn.register("redpop_rows", checked)
        try:
            return self._merge_rows(table, "redpop_rows", same_key, differs)
        finally:
            self._conn.unregister("redpop_rows")

    def _merge_rows(self, table: Table, source: str, same_key: str, differs: str) -> Merged:
        """Insert the rows of `source` (s) whose key `table` (t) lacks; update those that differ, if that is asked."""
        update = f"WHEN MATCHED AND ({differs}) THEN UPDATE BY NAME" if differs else ""
        actions = self._conn.execute(
            f"MERGE INTO {table.name} AS t USING {source} AS s ON ({same_key}) {update} "
            "WHEN NOT MATCHED THEN INSERT BY NAME RETURNING merge_action"
        ).to_arrow_table()
        done = actions.column("merge_action").to_pylist()
        return Merged(inserted=done.count("INSERT"), updated=done.count("UPDATE"))

    def _checked(self, table: Table, rows: pa.Table) -> pa.Table:
        """The rows in the columns and types of the table, or an error that names what does not fit."""
        given, wanted = rows.column_names, table.column_names
        problems = [f"misses column {name}" for name in wanted if name not in given]
        problems += [f"has unknown column {name}" for name in given if name not in wanted]
        problems += [f"has column {name} twice" for name in sorted(set(given)) if given.count(name) > 1]
        if problems:
            raise WarehouseError(f"A write to {table.name} {'; '.join(problems)}. Its columns: {', '.join(wanted)}.")
        types = _arrow_types(self._conn, [self._stored_type(column) for column in table.columns])
        arrays = []
        for column, wanted_type in zip(table.columns, types, strict=True):
            values = rows.column(column.name)
            if not column.nullable and values.null_count:
                raise WarehouseError(
                    f"A write to {table.name} has {values.null_count} NULL in column {column.name}, which is NOT NULL."
                )
            try:
                arrays.append(self._fitting(column, values, wanted_type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise WarehouseError(
                    f"A write to {table.name} has {values.type} in column {column.name}, which does not fit "
                    f"{column.type}: {error}"
                ) from error
        return pa.Table.from_arrays(arrays, names=list(wanted))

    def _stored_type(self, column: Column) -> str:
        """The type, in SQL, in which a column is stored."""
        return column.type

    def _fitting(self, column: Column, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:  # noqa: ARG002
        """The values of a column in the type in which it is stored; what does not fit raises an error of Arrow."""
        return values.cast(wanted)


def _arrow_types(conn: duckdb.DuckDBPyConnection, types: Sequence[str]) -> list[pa.DataType]:
    """What types of SQL are in Arrow; DuckDB is asked for each once in a process."""
    if unknown := [type_ for type_ in dict.fromkeys(types) if type_ not in _ARROW_TYPES]:
        nothing = conn.execute(f"SELECT {', '.join(f'NULL::{type_}' for type_ in unknown)}").to_arrow_table()
        _ARROW_TYPES.update(zip(unknown, nothing.schema.types, strict=True))
    return [_ARROW_TYPES[type_] for type_ in types]


def _table(schema: Schema, name: str) -> Table:
    if name not in schema:
        raise WarehouseError(f"There is no table {name}. The tables: {', '.join(schema)}.")
    return schema[name]


def _one_of_each(rows: pa.Table, key: Sequence[str], keep: str) -> pa.Table:
    """Of rows with one key the first (`keep` is "min") or the last ("max"); others as they are, in their order."""
    places = pa.array(range(rows.num_rows), pa.int64())
    keyed = rows.select(key).append_column("redpop_place", places)
    kept = keyed.group_by(key, use_threads=False).aggregate([("redpop_place", keep)])
    return rows if kept.num_rows == rows.num_rows else rows.take(kept.column(f"redpop_place_{keep}").sort())


def _hashed(table: Table) -> str:
    """SQL for the hash of a row of a table with alias `redpop_row`."""
    if "code_version" in table.key:
        kept = [column.name for column in table.columns if not column.type.startswith(_LONG)]
        if len(kept) < len(table.columns):
            return f"hash({', '.join(kept)})"
    return "hash(redpop_row)"

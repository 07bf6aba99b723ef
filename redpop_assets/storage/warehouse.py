"""The warehouse file: who may open it and when, how rows get in and out, and how a copy is published for everybody.

DuckDB lets one process write a file or many read it, and a reader blocks the writer. So the pipeline has a file of its
own (`live/redpop.duckdb`), every connection is open only around its SQL and waits for its turn, and people read a
published copy (`redpop.duckdb`). What the tables are belongs in `redpop_assets.storage.schema`.
"""

import hashlib
import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import duckdb
import pyarrow as pa

from redpop_assets.errors import WarehouseError, WarehouseLocked
from redpop_assets.storage.migrations import Migration, apply, load_migrations, pending, record_as_new
from redpop_assets.storage.schema import LAYERS, Schema, Table, load_schema

Params = Mapping[str, Any] | Sequence[Any] | None

_log = logging.getLogger(__name__)

_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")
_HELD_BY_THIS_PROCESS = re.compile("different configuration|Unique file handle conflict")
# Seconds. A refused attempt costs about 5 ms of processor time, which is better left to the process that works.
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 0.25
_LOG_EVERY = 10.0
_COPY_CHUNK = 8 * 1024 * 1024  # bytes

_REMEDY = (
    "Nothing was changed. Either another version of RedPop wrote this warehouse: use that one. Or the SQL file is new: "
    "add the migration that takes existing warehouses there (redpop_assets/storage/migrations.py says how)."
)

_STATE_DDL = """
CREATE TABLE IF NOT EXISTS main.warehouse_state (ddl_digest VARCHAR NOT NULL, erasures_pending BOOLEAN NOT NULL);
COMMENT ON TABLE main.warehouse_state IS 'Which table definitions this file has, and what it still owes.';
COMMENT ON COLUMN main.warehouse_state.ddl_digest IS 'SHA-256 of all SQL files of schema/ and migrations/.';
COMMENT ON COLUMN main.warehouse_state.erasures_pending IS 'Whether free blocks may still hold what was erased.';
"""


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


@dataclass(frozen=True)
class Published:
    """The published file, its size in bytes, and whether this call had anything new to publish."""

    changed: bool
    path: Path
    bytes: int


class Reader:
    """SQL on an open connection. Times come out as TIMESTAMP without zone, meaning UTC."""

    def __init__(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> None:
        self._conn = conn
        self.schema = schema

    def query(self, sql: str, params: Params = None) -> pa.Table:
        """All rows of a statement. `params` is a dict for `$name` or a list for `?` placeholders."""
        return self._execute(sql, params).to_arrow_table()

    def scalar(self, sql: str, params: Params = None) -> Any:
        """First column of the first row, as a Python value; None when there is no row."""
        row = self._execute(sql, params).fetchone()
        return None if row is None else row[0]

    def fingerprint(self, table: str, where: str = "TRUE", params: Params = None) -> str:
        """Digest of the rows of `table` that satisfy `where`, whatever their order: equal rows, equal digest.

        Count and sum of the 64-bit hashes of whole rows; comparable between sessions of one DuckDB release.
        """
        _table(self.schema, table)
        rows, total = self._execute(
            f"SELECT count(*), coalesce(sum(hash(redpop_row)::HUGEINT), 0) FROM {table} AS redpop_row WHERE {where}",
            params,
        ).fetchall()[0]
        return f"{rows}-{total:x}"

    def _execute(self, sql: str, params: Params) -> duckdb.DuckDBPyConnection:
        return self._conn.execute(sql, params or None)


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
        update = f"WHEN MATCHED AND ({differs}) THEN UPDATE BY NAME" if values else ""
        return self._merge_into(definition, rows, update, keep="DESC")

    def append(self, table: str, rows: pa.Table) -> int:
        """Insert the rows whose key is new, leave all others alone, and return the number inserted.

        Of rows with one key the first counts. Columns as in `merge`, and the same errors.
        """
        return self._merge_into(_table(self.schema, table), rows, "", keep="ASC").inserted

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

    def _merge_into(self, table: Table, rows: pa.Table, update: str, *, keep: str) -> Merged:
        if not table.key:
            raise WarehouseError(f"{table.name} has no key: add '| key: …' to the table comment of its SQL file.")
        order = pa.array(range(rows.num_rows), pa.int64())
        checked = self._checked(table, rows).append_column("redpop_order", order)
        columns = ", ".join(f'"{name}"' for name in table.column_names)
        key = ", ".join(f'"{name}"' for name in table.key)
        same_key = " AND ".join(f't."{name}" = s."{name}"' for name in table.key)
        self._conn.register("redpop_rows", checked)
        try:
            actions = self._conn.execute(
                f"MERGE INTO {table.name} AS t USING (SELECT {columns} FROM redpop_rows"
                f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY redpop_order {keep}) = 1) AS s"
                f" ON ({same_key}) {update} WHEN NOT MATCHED THEN INSERT BY NAME RETURNING merge_action"
            ).to_arrow_table()
        finally:
            self._conn.unregister("redpop_rows")
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
        types = self._conn.execute(f"SELECT * FROM {table.name} LIMIT 0").to_arrow_table().schema
        arrays = []
        for column in table.columns:
            values = rows.column(column.name)
            if not column.nullable and values.null_count:
                raise WarehouseError(
                    f"A write to {table.name} has {values.null_count} NULL in column {column.name}, which is NOT NULL."
                )
            wanted_type = types.field(column.name).type
            try:
                arrays.append(values.cast(wanted_type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise WarehouseError(
                    f"A write to {table.name} has {values.type} in column {column.name}, which does not fit "
                    f"{column.type}: {error}"
                ) from error
        return pa.Table.from_arrays(arrays, names=list(wanted))


class Warehouse:
    """The DuckDB warehouse of one home directory, filled from one source.

    `live` is the pipeline's own file, `published` the copy for everybody else. The live file is created by the first
    `write()`. Every method that touches it waits at most `lock_timeout` seconds for its turn and then raises
    `WarehouseLocked`; all of them raise `WarehouseError` when the file was filled from another source, has other
    columns than the SQL files, or cannot be opened.
    """

    def __init__(
        self,
        home: Path,
        *,
        source: str,
        lock_timeout: float = 600.0,
        schema: Schema | None = None,
        migrations: Sequence[Migration] | None = None,
    ) -> None:
        self.live = home / "live" / "redpop.duckdb"
        self.published = home / "redpop.duckdb"
        self.source = source
        self.lock_timeout = lock_timeout
        self.schema = schema or load_schema()
        self.migrations = load_migrations() if migrations is None else tuple(migrations)
        self._definition = _digest(self.schema, self.migrations)
        self._thread = threading.local()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Connect for reading; several processes may at once. Compute outside: a reader keeps every writer waiting."""
        if not self.live.exists():
            raise self._missing()
        with self._connect_current(read_only=True) as conn:
            yield Reader(conn, self.schema)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Connect for writing, alone, in one transaction: commit at the end of the block, roll back on an exception."""
        if not self.live.exists():
            self._create()
        with self._connect_current(read_only=False) as conn, _transaction(conn):
            self._record_source(conn)
            yield Writer(conn, self.schema)

    def query(self, sql: str, params: Params = None) -> pa.Table:
        """All rows of a statement; see `Reader.query`."""
        with self.read() as reader:
            return reader.query(sql, params)

    def scalar(self, sql: str, params: Params = None) -> Any:
        """First column of the first row; see `Reader.scalar`."""
        with self.read() as reader:
            return reader.scalar(sql, params)

    def fingerprint(self, table: str, where: str = "TRUE", params: Params = None) -> str:
        """Order-independent digest of rows; see `Reader.fingerprint`."""
        with self.read() as reader:
            return reader.fingerprint(table, where, params)

    def batches(self, sql: str, params: Params = None, *, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a statement in batches of `size`, the last one shorter; the file is closed while they are used.

        The whole result is in memory from the first batch on: select keys and what the computation needs, no more.
        """
        rows = self.query(sql, params)
        for start in range(0, rows.num_rows, size):
            yield rows.slice(start, size).combine_chunks().to_batches()[0]

    def merge(self, table: str, rows: pa.Table) -> Merged:
        """Insert or update by key in a transaction of its own; see `Writer.merge`."""
        with self.write() as writer:
            return writer.merge(table, rows)

    def append(self, table: str, rows: pa.Table) -> int:
        """Insert rows with new keys in a transaction of its own; see `Writer.append`."""
        with self.write() as writer:
            return writer.append(table, rows)

    def replace(self, table: str, rows: pa.Table, where: str, params: Params = None) -> Merged:
        """Make `rows` all that satisfies `where`, in a transaction of its own; see `Writer.replace`."""
        with self.write() as writer:
            return writer.replace(table, rows, where, params)

    def publish(self) -> Published:
        """Replace the published file by a copy of the live one, at once or not at all.

        After `Writer.erase` the live file is written anew first, from its rows alone, so that no free block of either
        file holds what was erased. A client that has the old file open keeps its snapshot.

        Nothing is copied when the two files are equal byte for byte: DuckDB leaves the file alone when a transaction or
        checkpoint has nothing to write, and the comparison ends at the first difference, which after a change is the
        header.
        """
        if not self.live.exists():
            raise self._missing()
        self._finish_erasures()
        staging = self.published.with_name(f"{self.published.name}.publishing")
        with ExitStack() as after_connection, self._connect_current(read_only=False) as conn:
            conn.execute("CHECKPOINT")
            # Closed after the connection: POSIX drops DuckDB's lock when this process closes any handle on the file.
            live = after_connection.enter_context(self.live.open("rb"))
            staging.unlink(missing_ok=True)
            changed = not _same_bytes(live, self.published)
            if changed:
                _copy_durably(live, staging)
                # Left by a client that opened the old copy for writing; it must not be applied to the new one.
                self.published.with_name(f"{self.published.name}.wal").unlink(missing_ok=True)
                staging.replace(self.published)
                _sync(self.published.parent)
        return Published(changed, self.published, self.published.stat().st_size)

    def _finish_erasures(self) -> None:
        """Write the live file anew, from its rows alone, if something was erased since the last time."""
        with self._connect_current(read_only=False) as conn:
            for leftover in self.live.parent.glob("rebuilding-*"):
                leftover.unlink()  # of a killed process: nobody else can be here now
            if not conn.execute("SELECT erasures_pending FROM main.warehouse_state").fetchall()[0][0]:
                return
            rebuilt = self.live.with_name(f"rebuilding-{os.getpid()}.duckdb")
            conn.execute("CHECKPOINT; PRAGMA disable_checkpoint_on_shutdown")
            (name,) = conn.execute("SELECT current_database()").fetchall()[0]
            conn.execute(f"ATTACH '{_quoted(rebuilt)}' AS rebuilt")
            conn.execute(f'COPY FROM DATABASE "{name}" TO rebuilt')
            conn.execute("UPDATE rebuilt.main.warehouse_state SET erasures_pending = FALSE")
            conn.execute("CHECKPOINT rebuilt; DETACH rebuilt")
            _sync(rebuilt)
            # While this connection still locks the old file: nobody can write into it any more, and who waits for the
            # path finds the new one.
            rebuilt.replace(self.live)
            _sync(self.live.parent)

    def _create(self) -> None:
        """Build the file aside and link it into place: others see it complete or not at all, and the first one wins."""
        self.live.parent.mkdir(parents=True, exist_ok=True)
        building = self.live.with_name(f"new-{os.getpid()}-{uuid4().hex}.duckdb")
        try:
            conn = duckdb.connect(building)
            try:
                with _transaction(conn):
                    self._apply_schema(conn)
                    record_as_new(conn, self.migrations)
            finally:
                conn.close()
            with suppress(FileExistsError):
                self.live.hardlink_to(building)
        finally:
            building.unlink(missing_ok=True)

    @contextmanager
    def _connect(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Wait for the file, connect, and always close."""
        held = getattr(self._thread, "held", None)
        if held == "write" or (held == "read" and not read_only):
            raise WarehouseError(
                f"{self.live} is already open in this thread ({held}), which would wait for itself: use the object "
                f"that the {held}() block yields, or end the block first."
            )
        conn = self._wait_for_connection(read_only=read_only)
        self._thread.held = "read" if read_only else "write"
        try:
            # Without this, now() in SQL would be the local time of the machine, and a misspelt table a Python variable.
            conn.execute("SET TimeZone = 'UTC'; SET python_enable_replacements = false")
            if not read_only:
                for spill in self.live.parent.glob("spill-*"):
                    shutil.rmtree(spill)  # left by a killed process: nobody else can be here now
            yield conn
        finally:
            self._thread.held = held
            conn.close()

    def _wait_for_connection(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        config = self._config()
        if not read_only:
            # DuckDB refuses a second connection of one process only if their settings differ: a writer has to be alone.
            config["custom_user_agent"] = f"redpop-writer-{uuid4().hex}"
        start = time.monotonic()
        next_log = start
        delay = _FIRST_DELAY
        while True:
            try:
                before = self.live.stat().st_ino
                conn = duckdb.connect(self.live, read_only=read_only, config=config)
                if self.live.stat().st_ino == before:
                    return conn
                conn.close()  # it was written anew in between: this is the old file, which nobody will read again
                continue
            except (duckdb.ConnectionException, duckdb.BinderException) as error:
                if not _HELD_BY_THIS_PROCESS.search(str(error)):
                    raise
                holder = f"this process itself (PID {os.getpid()}, another thread or an unfinished block)"
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise WarehouseError(f"{self.live} cannot be opened: {error}") from error
                holder = _holder(str(error))
            now = time.monotonic()
            if now - start >= self.lock_timeout:
                raise WarehouseLocked(
                    f"{self.live} was kept by {holder} for longer than {self.lock_timeout:g} s. End that process or "
                    "let it finish and try again, or raise REDPOP_LOCK_TIMEOUT_SECONDS; to look at data, open "
                    f"{self.published}, which nobody has to wait for."
                )
            if now >= next_log:
                level = logging.INFO if next_log == start else logging.WARNING
                _log.log(level, "Waiting for %s, held by %s (%.0f s so far)", self.live, holder, now - start)
                next_log = now + _LOG_EVERY
            time.sleep(min(delay * random.uniform(0.5, 1.0), max(0.0, start + self.lock_timeout - now)))
            delay = min(2 * delay, _LONGEST_DELAY)

    def _config(self) -> dict[str, str | bool | int | float | list[str]]:
        return {
            "autoinstall_known_extensions": "false",
            # Readers of several processes must not share a directory for what does not fit into memory.
            "temp_directory": str(self.live.parent / f"spill-{os.getpid()}"),
        }

    def _missing(self) -> WarehouseError:
        return WarehouseError(
            f"There is no warehouse at {self.live} yet: fill it with `redpop materialize`, or set REDPOP_HOME to the "
            "directory that has it."
        )

    def _is_current(self, conn: duckdb.DuckDBPyConnection) -> bool:
        """Whether the file has the tables of the SQL files as they are now; raises when it is of another source."""
        try:
            digest, source = conn.execute(
                "SELECT (SELECT ddl_digest FROM main.warehouse_state), (SELECT source FROM raw.source)"
            ).fetchall()[0]
        except duckdb.CatalogException as error:
            raise WarehouseError(
                f"{self.live} is a DuckDB file but no warehouse of RedPop: move it away, or set REDPOP_HOME to another "
                "directory."
            ) from error
        if source not in (None, self.source):
            raise WarehouseError(
                f"{self.live} was filled by {source}, not by {self.source}: set REDPOP_HOME to another directory or "
                f"REDPOP_SOURCE={source}."
            )
        return bool(digest == self._definition)

    @contextmanager
    def _connect_current(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """`_connect` to a file that has the tables of the SQL files; older code's is brought up to date first."""
        with self._connect(read_only=read_only) as conn:
            current = self._is_current(conn)
            if current:
                yield conn
        if not current:
            self._bring_up_to_date()
            with self._connect(read_only=read_only) as conn:
                yield conn

    def _bring_up_to_date(self) -> None:
        """Apply the migrations that the file has not been through, if any, and the SQL files; others wait meanwhile.

        Migrations work on a copy, which replaces the file when everything has worked: what fails or is killed leaves
        the file as it was. Without one there are only definitions to renew, which a transaction does in place.
        """
        with ExitStack() as after_connection, self._connect(read_only=False) as conn:
            for leftover in self.live.parent.glob("migrating-*"):
                leftover.unlink()  # of a killed process: nobody else can be here now
            if self._is_current(conn):
                return  # another process was first
            due = pending(conn, self.migrations, self.live)
            if not due:
                with _transaction(conn):
                    self._apply_schema(conn)
                return
            names = ", ".join(map(str, due))
            _log.info("Bringing %s up to date: %s", self.live, names)
            conn.execute("CHECKPOINT; PRAGMA disable_checkpoint_on_shutdown")
            # Closed after the connection: POSIX drops DuckDB's lock when this process closes any handle on the file.
            live = after_connection.enter_context(self.live.open("rb"))
            copy = self.live.with_name(f"migrating-{os.getpid()}.duckdb")
            try:
                with copy.open("wb") as target:
                    shutil.copyfileobj(live, target, _COPY_CHUNK)
                self._migrate(copy, due)
                _sync(copy)
                # While this connection still locks the old file, as in `_finish_erasures`.
                copy.replace(self.live)
                _sync(self.live.parent)
            except (WarehouseError, duckdb.Error, OSError) as error:
                raise WarehouseError(
                    f"{self.live} could not be brought up to date ({names}). Nothing is lost, it is as it was. {error} "
                    f"Mend the cause and try again (a copy needs {self.live.stat().st_size / 1e6:.0f} MB of disk for a "
                    "while), or use the version of RedPop that wrote it."
                ) from error
            finally:
                copy.unlink(missing_ok=True)
                copy.with_name(f"{copy.name}.wal").unlink(missing_ok=True)
            _log.info("%s is up to date", self.live)

    def _migrate(self, copy: Path, due: Sequence[Migration]) -> None:
        conn = duckdb.connect(copy, config=self._config())
        try:
            conn.execute("SET TimeZone = 'UTC'")
            self._drop_views(conn)
            for migration in due:
                apply(conn, migration)
            with _transaction(conn):
                self._apply_schema(conn)
            conn.execute("CHECKPOINT")
        finally:
            conn.close()

    def _apply_schema(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Create what is missing, comment everything, renew all views, and note the digest."""
        for layer in LAYERS:
            conn.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
        self._drop_views(conn)
        tables = [table for table in self.schema.values() if not table.is_view]
        for table in tables:
            self._add_columns(conn, table)
            self._execute_ddl(conn, table)
        self._require_columns(conn, tables)
        for table in self.schema.values():
            if table.is_view:
                self._execute_ddl(conn, table)
        conn.execute(_STATE_DDL)
        conn.execute("INSERT INTO main.warehouse_state SELECT '', FALSE WHERE NOT EXISTS (FROM main.warehouse_state)")
        conn.execute("UPDATE main.warehouse_state SET ddl_digest = ?", [self._definition])

    def _drop_views(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Views hold no data: without them tables can be altered, and views renamed."""
        for layer, view in conn.execute(
            "SELECT schema_name, view_name FROM duckdb_views() WHERE list_contains($layers, schema_name)",
            {"layers": list(LAYERS)},
        ).fetchall():
            conn.execute(f'DROP VIEW IF EXISTS {layer}."{view}"')

    def _add_columns(self, conn: duckdb.DuckDBPyConnection, table: Table) -> None:
        """Give an existing table the columns that it lacks and that may be NULL; nobody has to be asked for those."""
        existing = {
            name
            for (name,) in conn.execute(
                "SELECT column_name FROM duckdb_columns() WHERE schema_name || '.' || table_name = ?", [table.name]
            ).fetchall()
        }
        for column in table.columns if existing else ():
            if column.nullable and column.name not in existing:
                conn.execute(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {column.type}')

    def _execute_ddl(self, conn: duckdb.DuckDBPyConnection, table: Table) -> None:
        try:
            conn.execute(table.ddl)
        except duckdb.Error as error:
            # A comment on a column that the existing table lacks is the usual reason; that error would name no remedy.
            conn.rollback()
            conn.begin()
            self._require_columns(conn, [table])
            raise WarehouseError(
                f"The SQL file of {table.name} does not fit {self.live}: {error}. {_REMEDY}"
            ) from error

    def _require_columns(self, conn: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
        """Raise `WarehouseError` when one of the tables exists with other columns than its SQL file; order is free."""
        existing: dict[str, dict[str, tuple[str, bool]]] = {}
        for name, column, type_, nullable in conn.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
            " WHERE NOT internal"
        ).fetchall():
            existing.setdefault(name, {})[column] = (type_, nullable)
        for table in tables:
            wanted = {column.name: (column.type, column.nullable) for column in table.columns}
            actual = existing.get(table.name, wanted)
            differences = [
                f"{name} is {_spelled(actual.get(name))} in the file and {_spelled(wanted.get(name))} in the SQL"
                for name in dict.fromkeys((*wanted, *actual))
                if actual.get(name) != wanted.get(name)
            ]
            if differences:
                raise WarehouseError(
                    f"{table.name} in {self.live} has other columns than its SQL file: {'; '.join(differences)}. "
                    f"{_REMEDY}"
                )

    def _record_source(self, conn: duckdb.DuckDBPyConnection) -> None:
        conn.execute(
            "INSERT INTO raw.source BY NAME SELECT $source AS source, $now AS since WHERE NOT EXISTS (FROM raw.source)",
            {"source": self.source, "now": datetime.now(UTC)},
        )


@contextmanager
def _transaction(conn: duckdb.DuckDBPyConnection) -> Iterator[None]:
    conn.begin()
    try:
        yield
    except BaseException:
        # A fatal error has ended the transaction already; what went wrong is the error to see, not that.
        with suppress(duckdb.Error):
            conn.rollback()
        raise
    conn.commit()


def _digest(schema: Schema, migrations: Sequence[Migration]) -> str:
    """What a warehouse notes of the definitions it has: it is opened without a closer look when they are the same."""
    parts = [schema.digest, *(f"{migration} {migration.sha256}" for migration in migrations)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _table(schema: Schema, name: str) -> Table:
    if name not in schema:
        raise WarehouseError(f"There is no table {name}. The tables: {', '.join(schema)}.")
    return schema[name]


def _spelled(column: tuple[str, bool] | None) -> str:
    if column is None:
        return "missing"
    type_, nullable = column
    return type_ if nullable else f"{type_} NOT NULL"


def _holder(message: str) -> str:
    """The process that DuckDB's message names, with its command line where /proc has it."""
    match = _HOLDER.search(message)
    if match is None:
        return "another process"
    executable, pid = match.groups()
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # another system, another user, or gone by now
        words = []
    command = " ".join(b" ".join(words).decode(errors="replace").split())[:200]
    return f"{executable} (PID {pid}): {command}" if command else f"{executable} (PID {pid})"


def _same_bytes(live: BinaryIO, published: Path) -> bool:
    live.seek(0)
    if not published.exists() or published.stat().st_size != os.fstat(live.fileno()).st_size:
        return False
    with published.open("rb") as copy:
        while chunk := live.read(_COPY_CHUNK):
            if chunk != copy.read(_COPY_CHUNK):
                return False
    return True


def _copy_durably(live: BinaryIO, target: Path) -> None:
    live.seek(0)
    with target.open("wb") as copy:
        shutil.copyfileobj(live, copy, _COPY_CHUNK)
        copy.flush()
        os.fsync(copy.fileno())


def _quoted(path: Path) -> str:
    """A path inside an SQL string literal."""
    return str(path).replace("'", "''")


def _sync(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The warehouse of a home directory: reading and writing it, creating it, keeping it up to date, and publishing it.

The pipeline has a DuckDB file of its own (`live/redpop.duckdb`), and people read a published copy (`redpop.duckdb`).
What is done to these files as a whole belongs here; who may open the live one, in `redpop_assets.storage.live_file`;
SQL and rows, in `redpop_assets.storage.rows`; what the tables are, in `redpop_assets.storage.schema`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from redpop_assets.errors import WarehouseError
from redpop_assets.storage import durable
from redpop_assets.storage.live_file import LiveFile, prepare
from redpop_assets.storage.migrations import Migration, load_migrations
from redpop_assets.storage.names_in_sql import give_functions
from redpop_assets.storage.rows import Merged, Params, Reader, Writer
from redpop_assets.storage.schema import Schema, load_schema
from redpop_assets.storage.staging import Swept, held_folder, sweep
from redpop_assets.storage.upkeep import Definitions, transaction

_log = logging.getLogger(__name__)

_COPYING = "512MB"
"""What DuckDB may hold of a file that it copies. It takes all that the machine has if it is let, and is no quicker."""


@dataclass(frozen=True)
class Published:
    """The published file, its size in bytes, whether this call had anything new to publish, and what it removed."""

    changed: bool
    path: Path
    bytes: int
    swept: Swept


class Warehouse:
    """The DuckDB warehouse of one home directory, with the posts of one Reddit: `source` is its name.

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
        self.schema = schema or load_schema()
        self._file = LiveFile(self.live, instead=self.published, lock_timeout=lock_timeout)
        known = load_migrations() if migrations is None else tuple(migrations)
        self._definitions = Definitions(self.schema, known, self.live)

    def kept(self) -> AbstractContextManager[None]:
        """A block in which a connection is kept for the next use, for as long as nobody else wants it.

        See `LiveFile.kept`; for whoever has much to ask and to write in little time.
        """
        return self._file.kept()

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
        with self._connect_current(read_only=False) as conn, transaction(conn):
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
        file holds what was erased, nor does a copy that a killed process left. A client that has the old file open
        keeps its snapshot.

        Nothing is copied when the two files are equal byte for byte: DuckDB leaves the file alone when a transaction or
        checkpoint has nothing to write, and the comparison ends at the first difference, which after a change is the
        header.
        """
        if not self.live.exists():
            raise self._missing()
        self._finish_erasures()
        swept = sweep(self.published.parent)
        with ExitStack() as after_connection, self._connect_current(read_only=False, alone=True) as conn:
            conn.execute("CHECKPOINT")
            # Closed after the connection: POSIX drops DuckDB's lock when this process closes any handle on the file.
            live = after_connection.enter_context(self.live.open("rb"))
            changed = not durable.same_bytes(live, self.published)
            if changed:
                staging = after_connection.enter_context(held_folder(self.published.parent)) / self.published.name
                durable.copy(live, staging)
                # Left by a client that opened the old copy for writing; it must not be applied to the new one.
                self.published.with_name(f"{self.published.name}.wal").unlink(missing_ok=True)
                durable.put_in_place(staging, self.published)
        return Published(changed, self.published, self.published.stat().st_size, swept)

    def _finish_erasures(self) -> None:
        """Write the live file anew, from its rows alone, if something was erased since the last time."""
        with ExitStack() as after_connection, self._connect_current(read_only=False, alone=True) as conn:
            if not conn.execute("SELECT erasures_pending FROM main.warehouse_state").fetchall()[0][0]:
                return
            rebuilt = after_connection.enter_context(held_folder(self.live.parent)) / "rebuilt.duckdb"
            _rebuild(conn, rebuilt)
            with duckdb.connect(rebuilt, config=self._file.config()) as new:
                new.execute("UPDATE main.warehouse_state SET erasures_pending = FALSE")
            # While this connection still locks the old file: nobody can write into it any more, and who waits for the
            # path finds the new one.
            durable.put_in_place(rebuilt, self.live)

    def _bring_up_to_date(self) -> None:
        """Apply the migrations that the file has not been through, if any, and the SQL files; others wait meanwhile.

        Migrations work on a copy, in the present format of files, which replaces the file when everything has worked:
        what fails or is killed leaves the file as it was. Without one there are only definitions to renew, which a
        transaction does in place.
        """
        with ExitStack() as after_connection, self._file.connect(read_only=False, alone=True) as conn:
            if self._is_current(conn):
                return  # another process was first
            due = self._definitions.pending(conn)
            if not due:
                self._definitions.renew(conn)
                return
            names = ", ".join(map(str, due))
            _log.info("Bringing %s up to date: %s", self.live, names)
            copy = after_connection.enter_context(held_folder(self.live.parent)) / "migrated.duckdb"
            try:
                _rebuild(conn, copy)
                self._migrate(copy)
                durable.put_in_place(copy, self.live)  # while this connection still locks the old file
            except (WarehouseError, duckdb.Error, OSError) as error:
                raise WarehouseError(
                    f"{self.live} could not be brought up to date ({names}). Nothing is lost, it is as it was. {error} "
                    f"Mend the cause and try again (a copy needs {self.live.stat().st_size / 1e6:.0f} MB of disk for a "
                    "while), or use the version of RedPop that wrote it."
                ) from error
            _log.info("%s is up to date", self.live)

    def _migrate(self, copy: Path) -> None:
        conn = duckdb.connect(copy, config=self._file.config())
        try:
            prepare(conn)
            give_functions(conn, self.published.parent / "author.key")
            self._definitions.migrate(conn)
            conn.execute("CHECKPOINT")
        finally:
            conn.close()

    def _create(self) -> None:
        """Build the file aside and link it into place: others see it complete or not at all, and the first one wins."""
        with held_folder(self.live.parent) as staging:
            building = staging / self.live.name
            conn = duckdb.connect(building, config=self._file.config())
            try:
                self._definitions.create(conn)
            finally:
                conn.close()
            with suppress(FileExistsError):
                self.live.hardlink_to(building)

    @contextmanager
    def _connect_current(self, *, read_only: bool, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connect to the file, whose definitions are the present ones; older code's is brought up to date first."""
        with self._file.connect(read_only=read_only, alone=alone) as conn:
            current = self._is_current(conn)
            if current:
                yield conn
        if not current:
            self._bring_up_to_date()
            with self._file.connect(read_only=read_only, alone=alone) as conn:
                yield conn

    def _is_current(self, conn: duckdb.DuckDBPyConnection) -> bool:
        """Whether the file has the present definitions; raises when it is of another source."""
        state = self._definitions.state(conn)
        if state.source not in (None, self.source):
            raise WarehouseError(
                f"{self.live} was filled by {state.source}, not by {self.source}: set REDPOP_HOME to another "
                f"directory, or REDPOP_SOURCE={state.source} (or another service that has the posts of {state.source})."
            )
        return state.is_current

    def _missing(self) -> WarehouseError:
        return WarehouseError(
            f"There is no warehouse at {self.live} yet: fill it with `redpop materialize`, or set REDPOP_HOME to the "
            "directory that has it."
        )

    def _record_source(self, conn: duckdb.DuckDBPyConnection) -> None:
        conn.execute(
            "INSERT INTO raw.source BY NAME SELECT $source AS source, $now AS since WHERE NOT EXISTS (FROM raw.source)",
            {"source": self.source, "now": datetime.now(UTC)},
        )


def _rebuild(conn: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write all that the connected file holds into a new one, from its rows alone; the old one is not written again.

    Takes memory for `_COPYING`, however large the file is, and time in proportion to it: what is free cannot be found
    otherwise.
    """
    conn.execute("CHECKPOINT; PRAGMA disable_checkpoint_on_shutdown")
    (name,) = conn.execute("SELECT current_database()").fetchall()[0]
    conn.execute(f"SET memory_limit = '{_COPYING}'")
    try:
        conn.execute(f"ATTACH '{_quoted(target)}' AS rebuilt")
        conn.execute(f'COPY FROM DATABASE "{name}" TO rebuilt')
        conn.execute("CHECKPOINT rebuilt; DETACH rebuilt")
    finally:
        conn.execute("RESET memory_limit")


def _quoted(path: Path) -> str:
    """A path inside an SQL string literal."""
    return str(path).replace("'", "''")

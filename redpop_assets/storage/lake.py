"""The warehouse as a lake: Parquet files that several machines see, and their catalogue in Postgres (DuckLake).

Readers have snapshots and wait for nobody. Writers take turns by a lock of Postgres that goes with its process: two
that merged the same new key at once would both commit, and it would be there twice. What is done to the lake as a whole
belongs in `redpop_assets.storage.lake_upkeep`.
"""

import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.file_form import COPYING, put_published, sql_text
from redpop_assets.storage.forms import Form, Published, Uses
from redpop_assets.storage.lake_address import METADATA, LakeAddress
from redpop_assets.storage.lake_connection import NAME, connections_to
from redpop_assets.storage.lake_sql import LakeReader, LakeWriter, in_lake, lengths_of
from redpop_assets.storage.lake_upkeep import compact, erase_for_good, schema_version, tables_with_files
from redpop_assets.storage.live_file import file_config
from redpop_assets.storage.location import is_remote
from redpop_assets.storage.names_in_sql import give_functions
from redpop_assets.storage.postgres import Held
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.staging import held_folder, sweep
from redpop_assets.storage.upkeep import Definitions, transaction

_log = logging.getLogger(__name__)

_OF_CATALOGUE: Final = re.compile(r"Unable to connect to Postgres|server closed the connection|terminating connection")
_OF_FILES: Final = re.compile(r"HTTP|IO Error")

LOCK: Final = "warehouse"
"""Name of the lock of Postgres that a writer holds."""


class Lake(Form):
    """A lake, which one process writes at a time and any number read.

    Attributes:
        address: where it is.
        lock_timeout: longest wait for other writers (seconds).
    """

    def __init__(
        self, address: LakeAddress, definitions: Definitions, published: Path, *, lock_timeout: float, memory_mb: int
    ) -> None:
        super().__init__(replace(definitions, dialect=in_lake), published)
        self.address = address
        self.lock_timeout = lock_timeout
        self._as_file = definitions
        self._note = published.parent / "live" / "published.json"
        self._connections = connections_to(address, published.parent / "live", memory_mb=memory_mb)
        self._uses = Uses()
        self._held = threading.local()
        self._lengths = lengths_of(definitions.schema)
        self._exists = False
        self._verified: int | None = None

    def exists(self) -> bool:
        """Whether the database has a lake whose tables are all there."""
        if not self._exists:
            with self.address.postgres.session() as session, session.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s)", [f"{METADATA}.ducklake_table"])
                if cursor.fetchone()[0]:
                    cursor.execute(
                        f"SELECT 1 FROM {METADATA}.ducklake_table "
                        "WHERE table_name = 'warehouse_state' AND end_snapshot IS NULL"
                    )
                    self._exists = cursor.fetchone() is not None
        return self._exists

    def create(self) -> None:
        """Make the lake, alone: all tables and their comments in one transaction."""
        with self._uses.one(self.definitions.place, read_only=False), self._lock():
            if not self.exists():
                with self._connections.use() as conn:
                    self.definitions.create(conn)
                self._exists = True

    def kept(self) -> AbstractContextManager[None]:
        """Nothing: connections are kept anyway."""
        return nullcontext()

    @contextmanager
    def connect(self, *, read_only: bool, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connect for a block: to read one snapshot, or, as the only one, to write; see `Form.connect`."""
        with self._uses.one(self.definitions.place, read_only=read_only), ExitStack() as stack:
            if not read_only:
                self._held.lock = stack.enter_context(self._lock())
            stack.enter_context(self._explained())
            conn = stack.enter_context(self._connections.alone(memory=COPYING) if alone else self._connections.use())
            if read_only:
                # Who reads alone copies: what is written then is another database.
                conn.execute("BEGIN TRANSACTION" if alone else "BEGIN TRANSACTION READ ONLY")
            try:
                yield conn
            finally:
                if read_only:
                    try:
                        conn.execute("ROLLBACK")
                    except duckdb.Error:
                        conn.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A block in which DuckDB's words for servers that are gone become a WarehouseError."""
        try:
            yield
        except duckdb.Error as error:
            said = " ".join(str(error).split())
            if _OF_CATALOGUE.search(said):
                problem, remedy = "does not answer any more", "See that its Postgres runs"
            elif is_remote(self.address.files) and _OF_FILES.search(said):
                problem = f"has its files at {self.address.files}, and they cannot be reached"
                remedy = "See that the object storage runs and lets the key in"
            else:
                raise
            raise WarehouseError(
                f"{self.definitions.place} {problem} ({said}). {remedy}, and try again: nothing of an unfinished "
                "write is left."
            ) from None

    def is_current(self, conn: duckdb.DuckDBPyConnection) -> bool:
        """See `Form.is_current`; looked at again when tables have changed, and until somebody has filled it."""
        version = schema_version(conn)
        if version == self._verified:
            return True
        state = self.definitions.checked_state(conn)
        if state.is_current and state.source is not None:
            self._verified = version
        return state.is_current

    @contextmanager
    def transaction(self, conn: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Commit at the end of the block, if this process still is the only writer; roll back on an exception."""
        with transaction(conn):
            yield
            self._held.lock.verify()

    def reader(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> LakeReader:
        """One that gives rows as a file has them."""
        return LakeReader(conn, schema, self._lengths)

    def writer(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> LakeWriter:
        """One that says things as DuckLake takes them."""
        return LakeWriter(conn, schema, self._lengths)

    def bring_up_to_date(self) -> None:
        """Apply the migrations that the lake has not been through, if any, and the SQL files, in one transaction."""
        with self.connect(read_only=False) as conn:
            if self.definitions.is_current(conn):
                return  # another process was first
            if not self.definitions.pending(conn):
                self.definitions.renew(conn)
                return
        # On a connection of its own, which is given the functions that migrations call.
        with self.connect(read_only=False, alone=True) as conn:
            if self.definitions.is_current(conn):
                return
            due = self.definitions.pending(conn)
            names = ", ".join(map(str, due))
            _log.info("Bringing %s up to date: %s", self.definitions.place, names)
            try:
                give_functions(conn, self.published.parent / "author.key")
                self.definitions.migrate_at_once(conn)
            except (WarehouseError, duckdb.Error) as error:
                raise WarehouseError(
                    f"{self.definitions.place} could not be brought up to date ({names}). Nothing is lost, it is as it "
                    f"was. {error} Mend the cause and try again, or use the version of RedPop that wrote it."
                ) from error
            _log.info("%s is up to date", self.definitions.place)

    def publish(self) -> Published:
        """Copy the newest snapshot into a DuckDB file and put it in the place of the published one.

        Small files are merged first, and what was erased leaves the lake for good. Nothing is copied when no snapshot
        is newer than the published one and the file is as it was put there. Readers and writers go on meanwhile.
        """
        home = self.published.parent
        with self.current(read_only=False) as conn:
            if self.definitions.erasures_pending(conn):
                erase_for_good(conn, self._held.lock.connection, patience=timedelta(seconds=self.lock_timeout))
                self.definitions.erasures_finished(conn)
            elif not self._is_published(_snapshot(conn)):
                compact(conn, self._held.lock.connection)
            snapshot = _snapshot(conn)
        swept = sweep(home)
        changed = not self._is_published(snapshot)
        if changed:
            with held_folder(home) as staging:
                building = staging / self.published.name
                snapshot = self._copy(building)
                note = {"lake": self.address.where, "snapshot": snapshot, "sha256": _digest(building)}
                put_published(building, self.published)
                self._note.parent.mkdir(exist_ok=True)
                self._note.write_text(json.dumps(note), encoding="utf-8")
        return Published(changed, self.published, self.published.stat().st_size, swept)

    def _copy(self, building: Path) -> int:
        """Fill a new file with the rows of one snapshot, a table at a time; returns which snapshot that was."""
        conn = duckdb.connect(building, config=file_config(self._connections.spill, self._connections.memory_mb))
        try:
            self._as_file.create(conn)
        finally:
            conn.close()
        with self.current(read_only=True, alone=True) as lake:
            snapshot = _snapshot(lake)
            lake.execute(f"ATTACH {sql_text(str(building))} AS published")
            lake.execute(
                "DELETE FROM published.main.warehouse_migrations; "
                f"INSERT INTO published.main.warehouse_migrations BY NAME FROM {NAME}.main.warehouse_migrations"
            )
            filled = tables_with_files(lake)
            for table in self._as_file.schema.values():
                if table.name in filled:
                    columns = ", ".join(f'"{each.name}"::{each.type} AS "{each.name}"' for each in table.columns)
                    lake.execute(
                        f"INSERT INTO published.{table.name} BY NAME SELECT {columns} FROM {NAME}.{table.name}"
                    )
            lake.execute("COMMIT; CHECKPOINT published; DETACH published")
        return snapshot

    def _is_published(self, snapshot: int) -> bool:
        """Whether the published file is the copy of a snapshot of this lake that was made last."""
        try:
            note: dict[str, Any] = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        wanted = {"lake": self.address.where, "snapshot": snapshot}
        return {**note, **wanted} == note and self.published.exists() and note["sha256"] == _digest(self.published)

    def _lock(self) -> AbstractContextManager[Held]:
        return self.address.postgres.lock(LOCK, timeout=timedelta(seconds=self.lock_timeout), what="The warehouse")


def _snapshot(conn: duckdb.DuckDBPyConnection) -> int:
    return int(conn.execute(f"SELECT id FROM ducklake_current_snapshot('{NAME}')").fetchall()[0][0])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The warehouse as a DuckDB file, `live/redpop.duckdb` of a home, which is copied to be published.

What is done to the file as a whole belongs here; who may open it, in `redpop_assets.storage.live_file`.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb

from redpop_assets.errors import WarehouseError
from redpop_assets.storage import durable
from redpop_assets.storage.forms import Form, Published
from redpop_assets.storage.live_file import LiveFile, prepare
from redpop_assets.storage.names_in_sql import give_functions
from redpop_assets.storage.rows import Reader, Writer
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.staging import held_folder, sweep
from redpop_assets.storage.upkeep import Definitions

_log = logging.getLogger(__name__)

COPYING = "512MB"
"""What DuckDB may hold of what it copies. It takes all that the machine has if it is let, and is no quicker."""


class FileForm(Form):
    """One file, which one process writes or many read.

    Attributes:
        path: where it is.
    """

    def __init__(
        self, path: Path, definitions: Definitions, published: Path, *, lock_timeout: float, memory_mb: int
    ) -> None:
        super().__init__(definitions, published)
        self.path = path
        self._file = LiveFile(path, instead=published, lock_timeout=lock_timeout, memory_mb=memory_mb)

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def create(self) -> None:
        """Build the file aside and link it into place: others see it complete or not at all, and the first one wins."""
        with held_folder(self.path.parent) as staging:
            building = staging / self.path.name
            conn = duckdb.connect(building, config=self._file.config())
            try:
                self.definitions.create(conn)
            finally:
                conn.close()
            with suppress(FileExistsError):
                self.path.hardlink_to(building)

    def kept(self) -> AbstractContextManager[None]:
        """Inside, a connection is kept for as long as nobody else wants the file; see `LiveFile.kept`."""
        return self._file.kept()

    @contextmanager
    def connect(self, *, read_only: bool, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Wait for the file and connect; see `LiveFile.connect`."""
        with self._file.connect(read_only=read_only, alone=alone) as conn:
            yield conn

    def reader(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> Reader:
        """The usual one."""
        return Reader(conn, schema)

    def writer(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> Writer:
        """The usual one."""
        return Writer(conn, schema)

    def bring_up_to_date(self) -> None:
        """Apply the migrations that the file has not been through, if any, and the SQL files; others wait meanwhile.

        Migrations work on a copy, in the present format of files, which replaces the file when everything has worked:
        what fails or is killed leaves the file as it was. Without one there are only definitions to renew, which a
        transaction does in place.
        """
        with ExitStack() as after_connection, self.connect(read_only=False, alone=True) as conn:
            if self.definitions.is_current(conn):
                return  # another process was first
            due = self.definitions.pending(conn)
            if not due:
                self.definitions.renew(conn)
                return
            names = ", ".join(map(str, due))
            _log.info("Bringing %s up to date: %s", self.path, names)
            copy = after_connection.enter_context(held_folder(self.path.parent)) / "migrated.duckdb"
            try:
                _rebuild(conn, copy)
                self._migrate(copy)
                durable.put_in_place(copy, self.path)  # while this connection still locks the old file
            except (WarehouseError, duckdb.Error, OSError) as error:
                raise WarehouseError(
                    f"{self.path} could not be brought up to date ({names}). Nothing is lost, it is as it was. {error} "
                    f"Mend the cause and try again (a copy needs {self.path.stat().st_size / 1e6:.0f} MB of disk for a "
                    "while), or use the version of RedPop that wrote it."
                ) from error
            _log.info("%s is up to date", self.path)

    def publish(self) -> Published:
        """Replace the published file by a copy of the live one, at once or not at all.

        After `Writer.erase` the live file is written anew first, from its rows alone, so that no free block of either
        file holds what was erased, nor does a copy that a killed process left. A client that has the old file open
        keeps its snapshot.

        Nothing is copied when the two files are equal byte for byte: DuckDB leaves the file alone when a transaction or
        checkpoint has nothing to write, and the comparison ends at the first difference, which after a change is the
        header.
        """
        swept = sweep(self.published.parent)
        while True:
            with ExitStack() as after_connection, self.current(read_only=False, alone=True) as conn:
                if self.definitions.erasures_pending(conn):
                    self._write_anew(conn, after_connection)
                    continue  # with the file that is in its place now
                changed = self._copy(conn, after_connection)
            return Published(changed, self.published, self.published.stat().st_size, swept)

    def _write_anew(self, conn: duckdb.DuckDBPyConnection, after_connection: ExitStack) -> None:
        """Replace the live file by one that is made from its rows alone: nothing that was erased is in it."""
        rebuilt = after_connection.enter_context(held_folder(self.path.parent)) / "rebuilt.duckdb"
        _rebuild(conn, rebuilt)
        with duckdb.connect(rebuilt, config=self._file.config()) as new:
            self.definitions.erasures_finished(new)
        # While this connection still locks the old file: nobody can write into it any more, and who waits for the path
        # finds the new one.
        durable.put_in_place(rebuilt, self.path)

    def _copy(self, conn: duckdb.DuckDBPyConnection, after_connection: ExitStack) -> bool:
        """Replace the published file by a copy of the live one, unless they are equal; whether they were not."""
        conn.execute("CHECKPOINT")
        # Closed after the connection: POSIX drops DuckDB's lock when this process closes any handle on the file.
        live = after_connection.enter_context(self.path.open("rb"))
        changed = not durable.same_bytes(live, self.published)
        if changed:
            staging = after_connection.enter_context(held_folder(self.published.parent)) / self.published.name
            durable.copy(live, staging)
            put_published(staging, self.published)
        return changed

    def _migrate(self, copy: Path) -> None:
        conn = duckdb.connect(copy, config=self._file.config())
        try:
            prepare(conn)
            give_functions(conn, self.published.parent / "author.key")
            self.definitions.migrate(conn)
            conn.execute("CHECKPOINT")
        finally:
            conn.close()


def put_published(staging: Path, published: Path) -> None:
    """Put a finished copy in the place of the published file; a client that has the old one open keeps it."""
    # Left by a client that opened the old copy for writing; it must not be applied to the new one.
    published.with_name(f"{published.name}.wal").unlink(missing_ok=True)
    durable.put_in_place(staging, published)


def _rebuild(conn: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write all that the connected file holds into a new one, from its rows alone; the old one is not written again.

    Takes memory for `COPYING`, however large the file is, and time in proportion to it: what is free cannot be found
    otherwise.
    """
    conn.execute("CHECKPOINT; PRAGMA disable_checkpoint_on_shutdown")
    (name,) = conn.execute("SELECT current_database()").fetchall()[0]
    conn.execute(f"SET memory_limit = '{COPYING}'")
    try:
        conn.execute(f"ATTACH {sql_text(str(target))} AS rebuilt")
        conn.execute(f'COPY FROM DATABASE "{name}" TO rebuilt')
        conn.execute("CHECKPOINT rebuilt; DETACH rebuilt")
    finally:
        conn.execute("RESET memory_limit")


def sql_text(text: str) -> str:
    """A text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"

"""One edition of the published file: opened once, and read by many threads until the next one is there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from redpop_assets.errors import OtherVersion, WarehouseError
from redpop_assets.storage.live_file import prepare
from redpop_assets.storage.published import of_another_version, open_published, published_file
from redpop_assets.storage.rows import Params, Reader
from redpop_assets.storage.schema import Schema, load_schema

_SAME_FILE_TRIES = 5


class Edition:
    """The published file as it was when it was opened; a newer one may take its place meanwhile.

    It never waits for the pipeline, and the pipeline never waits for it. Any number of threads may read at once.

    Attributes:
        schema: the tables of this version of RedPop.
        place: the file, for messages.
        identity: of the file that is open; see `identity_of`.

    Args:
        home: the home directory.
        threads: of DuckDB; those who ask many small questions need one.
        schema: for tests.

    Raises:
        WarehouseError: nothing is published, it cannot be opened, or another version of RedPop wrote it.
    """

    def __init__(self, home: Path, *, threads: int = 1, schema: Schema | None = None) -> None:
        self.schema = schema or load_schema()
        self.place = published_file(home)
        for _ in range(_SAME_FILE_TRIES):
            self.identity = identity_of(home)
            self._conn = open_published(home, {"threads": threads}, apart=True)
            if identity_of(home) == self.identity:
                break
            self._conn.close()  # it was replaced in between: which one is open is not known
        else:
            raise WarehouseError(f"{self.place} was replaced each time it was opened: try again in a moment.")
        self._local = threading.local()
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A block that reads this edition; in another thread, through another cursor.

        Raises:
            WarehouseError: it lacks a table or a column that this version reads.
        """
        if not hasattr(self._local, "reader"):
            cursor = self._conn.cursor()
            prepare(cursor)  # settings of a connection are not those of its cursors
            cursor.execute("USE published")
            self._local.reader = Reader(cursor, self.schema)
        reader: Reader = self._local.reader
        try:
            yield reader
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise of_another_version(self.place, error) from error

    def query(self, sql: str, params: Params = None) -> pa.Table:
        """All rows of a statement; see `Reader.query`."""
        with self.read() as reader:
            return reader.query(sql, params)

    def scalar(self, sql: str, params: Params = None) -> Any:
        """First column of the first row; see `Reader.scalar`."""
        with self.read() as reader:
            return reader.scalar(sql, params)

    def close(self) -> None:
        """Close the file; nobody may be reading."""
        self._conn.close()

    def _check(self) -> None:
        """Raise `WarehouseError` where the file lacks a table or a column."""
        rows = self.query(
            "SELECT schema_name || '.' || table_name AS name, column_name FROM duckdb_columns() "
            "WHERE database_name = 'published'"
        ).to_pylist()
        known: dict[str, set[str]] = {}
        for row in rows:
            known.setdefault(row["name"], set()).add(row["column_name"])
        for name, table in self.schema.items():
            missing = set(table.column_names) - known.get(name, set())
            if missing:
                what = f"table {name}" if name not in known else f"column {name}.{sorted(missing)[0]}"
                raise OtherVersion(
                    f"{self.place} was published by another version of RedPop: it has no {what}. "
                    "Run `redpop materialize` and try again."
                )


def identity_of(home: Path) -> tuple[int, int, int]:
    """What tells one published file from the next: inode, time of change (nanoseconds) and size.

    Raises:
        WarehouseError: nothing is published yet.
    """
    try:
        found = published_file(home).stat()
    except FileNotFoundError:
        found = published_file(home).stat()  # replaced between two looks; or gone, which the second one says
    return found.st_ino, found.st_mtime_ns, found.st_size

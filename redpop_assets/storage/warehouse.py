"""The warehouse of a home directory: what can be done with its rows, whichever form it has.

The pipeline has a warehouse of its own, a DuckDB file (`live/redpop.duckdb`) or a lake that several machines share, and
people read a published copy (`redpop.duckdb`). What the two forms do belongs in `redpop_assets.storage.file_form` and
`redpop_assets.storage.lake`; SQL and rows, in `redpop_assets.storage.rows`; what the tables are, in
`redpop_assets.storage.schema`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.file_form import FileForm
from redpop_assets.storage.forms import Form, Published
from redpop_assets.storage.live_file import usual_memory_mb
from redpop_assets.storage.migrations import Migration, load_migrations
from redpop_assets.storage.rows import Merged, Params, Reader, Writer
from redpop_assets.storage.schema import Schema, load_schema
from redpop_assets.storage.upkeep import Definitions

if TYPE_CHECKING:
    from redpop_assets.storage.lake_address import LakeAddress


class Warehouse:
    """The warehouse of one home directory, with the posts of one Reddit: `source` is its name.

    `place` is where the pipeline's own one is, `published` the copy for everybody else. The first `write()` creates it.
    Every method that touches it waits at most `lock_timeout` seconds for its turn and then raises `WarehouseLocked`;
    all of them raise `WarehouseError` when it was filled from another source, has other columns than the SQL files, or
    cannot be opened. It takes at most `memory_mb` of memory (0: `usual_memory_mb`); a question that needs more,
    and cannot put it into a file beside, raises `WarehouseError`, too.
    """

    def __init__(
        self,
        home: Path,
        *,
        source: str,
        lock_timeout: float = 600.0,
        memory_mb: int = 0,
        lake: "LakeAddress | None" = None,
        schema: Schema | None = None,
        migrations: Sequence[Migration] | None = None,
    ) -> None:
        self.live = home / "live" / "redpop.duckdb"
        self.published = home / "redpop.duckdb"
        self.source = source
        self.schema = schema or load_schema()
        self.place = lake.where if lake else str(self.live)
        memory_mb = memory_mb or usual_memory_mb()
        known = load_migrations() if migrations is None else tuple(migrations)
        definitions = Definitions(self.schema, known, source, self.place)
        self._form: Form
        if lake:
            from redpop_assets.storage.lake import Lake

            self._form = Lake(lake, definitions, self.published, lock_timeout=lock_timeout, memory_mb=memory_mb)
        else:
            self._form = FileForm(
                self.live, definitions, self.published, lock_timeout=lock_timeout, memory_mb=memory_mb
            )

    def exists(self) -> bool:
        """Whether there is one: nothing has to be created or migrated to answer that."""
        return self._form.exists()

    def kept(self) -> AbstractContextManager[None]:
        """A block in which a connection is kept for the next use, for as long as nobody else wants it.

        See `Form.kept`; for whoever has much to ask and to write in little time.
        """
        return self._form.kept()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Connect for reading; several processes may at once. Compute outside: a reader may keep writers waiting."""
        if not self.exists():
            raise self._missing()
        with self._form.current(read_only=True) as conn:
            yield self._form.reader(conn, self.schema)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Connect for writing, alone, in one transaction: commit at the end of the block, roll back on an exception."""
        if not self.exists():
            self._form.create()
        with self._form.current(read_only=False) as conn, self._form.transaction(conn):
            self._record_source(conn)
            yield self._form.writer(conn, self.schema)

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
        """The rows of a statement in batches of `size`, the last one shorter; nothing is held open while they are used.

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
        """Replace the published file by a copy of the warehouse, at once or not at all.

        Afterwards nothing that `Writer.erase` took is left in either, nor in a copy that a killed process left. Nothing
        is copied when nothing is new, and all of it when anything is: of a file some 0.5 CPU seconds a gigabyte. A
        client that has the old file open keeps its snapshot.
        """
        if not self.exists():
            raise self._missing()
        return self._form.publish()

    def _missing(self) -> WarehouseError:
        return WarehouseError(
            f"There is no warehouse at {self.place} yet: fill it with `redpop materialize`, or set REDPOP_HOME to the "
            "directory that has it."
        )

    def _record_source(self, conn: duckdb.DuckDBPyConnection) -> None:
        conn.execute(
            "INSERT INTO raw.source BY NAME SELECT $source AS source, $now AS since WHERE NOT EXISTS (FROM raw.source)",
            {"source": self.source, "now": datetime.now(UTC)},
        )

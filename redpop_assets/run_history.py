"""Dagster's run history in SQLite, over connections that are kept.

Dagster's own storages make an engine and open a connection for every access: each statement is compiled anew, each
closing is the last one of its file and so a checkpoint, each commit waits for the disk. A run that finds nothing to do
records some 500 events in 2,000 accesses, and three quarters of what it costs are these. And whenever they open or make
a file, they read the code of all their migrations, which takes longer than to make it. The files are the same ones, in
the same places; whoever opens them with Dagster's storages finds what is written here, and the other way round.
"""

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import Any, Final, Self
from uuid import uuid4

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, QueuePool

from redpop_assets.pools import PatientClaims

_BUSY_SECONDS: Final = 30.0
_MOST_FILES: Final = 16
_INDEX: Final = "index"
_USES_OF_A_TRANSACTION: Final = 500


class Connections:
    """Connections to SQLite files, some of which stay open between two uses; for any number of threads.

    Of a file that was not used for long, none is kept: each run has a file of its own.

    Args:
        most_files: of how many files connections are kept.
    """

    def __init__(self, most_files: int = _MOST_FILES) -> None:
        self._most_files = most_files
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def transaction(self, url: str) -> Iterator[Connection]:
        """A connection to a database, in a transaction that is committed at the end."""
        with self._engine(url).connect() as connection, connection.begin():
            yield connection

    def open(self, url: str) -> Connection:
        """A connection to a database that is the caller's to close, which gives it back."""
        return self._engine(url).connect()

    def close(self) -> None:
        """Close what nobody uses at the moment; the rest is closed when it is given back."""
        with self._lock:
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            engine.dispose()

    def _engine(self, url: str) -> Engine:
        with self._lock:
            engine = self._engines.get(url)
            if engine is None:
                engine = self._engines[url] = create_engine(
                    url, poolclass=QueuePool, pool_size=2, max_overflow=-1, connect_args={"timeout": _BUSY_SECONDS}
                )
                event.listen(engine, "connect", _trust_the_log)
            self._engines.move_to_end(url)
            unused = [self._engines.popitem(last=False)[1] for _ in range(len(self._engines) - self._most_files)]
        for old in unused:
            old.dispose()
        return engine


class _Together:
    """Transactions that are not committed by each use but after many, a connection for each file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._open: dict[str, Connection] = {}
        self._uses = 0

    @contextmanager
    def use(self, url: str) -> Iterator[Connection]:
        """The connection to a database, in a transaction."""
        if url not in self._open:
            self._open[url] = self._connections.open(url)
        connection = self._open[url]
        if not connection.in_transaction():
            connection.begin()
        yield connection
        self._uses += 1
        if self._uses % _USES_OF_A_TRANSACTION == 0:
            self._commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._commit()
        finally:
            for connection in self._open.values():
                connection.close()

    def _commit(self) -> None:
        for connection in self._open.values():
            if connection.in_transaction():
                connection.commit()


def _trust_the_log(connection: Any, _: Any) -> None:
    """Let a commit return before the disk has it: a killed process loses nothing, a power cut the last events.

    With a write-ahead log, which these files have, the database stays whole either way (SQLite, "PRAGMA synchronous").
    """
    connection.execute("PRAGMA synchronous = NORMAL")


def _is_ready(engine: Engine, blank: Callable[[], bytes]) -> bool:
    """Whether a database has the tables of a storage of Dagster; where there is no file, a copy of `blank` becomes it.

    Others see the copy complete or not at all, and the first one wins. What was left half made is for Dagster to mend.
    """
    file = Path(str(engine.url.database))
    if not file.exists():
        new = file.with_name(f".new-{uuid4().hex}")
        try:
            new.write_bytes(blank())
            with suppress(FileExistsError):
                file.hardlink_to(new)
        finally:
            new.unlink(missing_ok=True)
    try:
        with engine.connect() as connection:
            return bool(connection.execute(text("SELECT 1 FROM alembic_version")).fetchall())
    except DatabaseError:
        return False


def _blank(name: str, make: Callable[[str], object]) -> bytes:
    """The file of that name that `make` makes in a folder, which holds nothing yet."""
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        return Path(folder, f"{name}.db").read_bytes()


@cache
def _blank_log() -> bytes:
    def make(folder: str) -> None:
        of_one_run = object.__new__(SqliteEventLogStorage)  # to open one makes an index, too
        of_one_run._initdb(_unshared(create_db_conn_string(folder, "log")))

    return _blank("log", make)


@cache
def _blank_runs() -> bytes:
    return _blank("runs", SqliteRunStorage.from_local)


@cache
def _blank_ticks() -> bytes:
    return _blank("schedules", SqliteScheduleStorage.from_local)


def _unshared(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS})


class EventLog(PatientClaims, SqliteEventLogStorage):
    """The events of runs, a file for each run, and an index of those about assets."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections = Connections()
        self._made: set[str] = set()
        self._tables: set[str] = set()
        self._thread = local()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """As Dagster makes it from `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        if not _is_ready(engine, _blank_log):
            super()._initdb(engine, for_index_shard)

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """A transaction on the file of a run, which is made where there is none."""
        assert run_id is not None
        if run_id not in self._made or not Path(self.path_for_shard(run_id)).exists():
            with super().run_connection(run_id):
                self._made.add(run_id)
        url = self.conn_string_for_shard(run_id)
        together: _Together | None = getattr(self._thread, "together", None)
        return self._connections.transaction(url) if together is None else together.use(url)

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A transaction on the index."""
        return self.run_connection(_INDEX)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Store what this thread reports inside in transactions of many events; what was reported stays, come what may.

        Other threads and processes can write after each transaction, and see then what is in it.
        """
        with _Together(self._connections) as self._thread.together:
            try:
                yield
            finally:
                self._thread.together = None

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; none ever goes."""
        if table_name not in self._tables:
            with self.index_connection() as connection:
                self._tables.update(inspect(connection).get_table_names())
        return table_name in self._tables

    def wipe(self) -> None:
        """Remove everything."""
        self._connections.close()
        self._made.clear()
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        self._connections.close()
        super().dispose()


class Runs(SqliteRunStorage):
    """The runs, and what tags they have."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections = Connections()
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """As Dagster makes it from `dagster.yaml`."""
        return cls.from_local(inst_data=inst_data, **config_value)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """Open the file of runs of a folder, which is made where there is none."""
        Path(base_dir).mkdir(parents=True, exist_ok=True)
        url = create_db_conn_string(base_dir, "runs")
        if not _is_ready(_unshared(url), _blank_runs):
            SqliteRunStorage.from_local(base_dir)
        return cls(url, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction on the file of runs."""
        with self._connections.transaction(self._conn_string) as connection:
            yield connection

    def dispose(self) -> None:
        """Close what is open."""
        self._connections.close()


class Schedules(SqliteScheduleStorage):
    """When schedules and sensors ticked."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """As Dagster makes it from `dagster.yaml`."""
        return cls.from_local(inst_data=inst_data, **config_value)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """Open the file of ticks of a folder, which is made where there is none."""
        Path(base_dir).mkdir(parents=True, exist_ok=True)
        url = create_db_conn_string(base_dir, "schedules")
        if not _is_ready(_unshared(url), _blank_ticks):
            SqliteScheduleStorage.from_local(base_dir)
        return cls(url, inst_data)

"""A Dagster instance in memory for one run: Dagster's own ephemeral one, over connections that are kept.

That one opens a connection for every access and looks up the tables each time, which is a sixth of what a run costs
that finds nothing to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import dagster as dg
from dagster._core.instance import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage
from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.pool import StaticPool


def passing_instance() -> dg.DagsterInstance:
    """An instance that is gone when it is closed."""
    return dg.DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=TemporaryLocalArtifactStorage(),  # type: ignore[no-untyped-call]
        run_storage=_Runs(),
        event_storage=_Events(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
    )


class _Kept:
    """One connection to the database of an engine, for one thread after the other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = create_engine(engine.url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        self._connection = self._engine.connect()
        self._lock = Lock()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The connection, in a transaction that is committed at the end."""
        with self._lock, self._connection.begin():
            yield self._connection

    def close(self) -> None:
        """Close it."""
        self._connection.close()
        self._engine.dispose()


class _Events(InMemoryEventLogStorage):
    def __init__(self) -> None:
        super().__init__()
        self._kept = _Kept(self._engine)
        with self._kept.transaction() as connection:
            self._tables = frozenset(inspect(connection).get_table_names())

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._kept.transaction() as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        return table_name in self._tables

    def dispose(self) -> None:
        self._kept.close()
        super().dispose()  # type: ignore[no-untyped-call]


class _Runs(InMemoryRunStorage):
    def __init__(self) -> None:
        super().__init__()
        self._kept = _Kept(self._engine)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._kept.transaction() as connection:
            yield connection

    def dispose(self) -> None:
        self._kept.close()
        super().dispose()

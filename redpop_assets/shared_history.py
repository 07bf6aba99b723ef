"""Dagster's run history in a Postgres that several machines share, over connections that are kept.

The tables are Dagster's own, made by its storages where there are none. Only the connections differ: those storages
open one for each access, and logging in costs more than most accesses. Loading this module takes the extra `cluster`.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Self

from dagster import StringSource
from dagster._config import UserConfigSchema
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import InternalError
from sqlalchemy.pool import QueuePool

from redpop_assets.pools import PatientClaims
from redpop_assets.storage.postgres import Postgres

_MOST_CONNECTIONS: Final = 20  # of a process, while as many of its threads look at the history
_OPENING: Final = timedelta(minutes=2)


class SharedHistory(DagsterPostgresStorage):
    """Runs, events and schedules in one database.

    Args:
        postgres_url: as SQLAlchemy takes it, with the driver: `postgresql+psycopg2://…`.
        inst_data: as Dagster gives it.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Machines that start together would make the tables together, and all but one of them fail.
        with Postgres(postgres_url).lock("tables of Dagster", timeout=_OPENING, what="The run history"):
            super().__init__(postgres_url, inst_data=inst_data)
        self._run_storage = _Runs(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _Events(postgres_url, should_autocreate_tables=False)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = _kept(postgres_url)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """What `dagster.yaml` says: the URL, or the variable that has it."""
        return {"postgres_url": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """As Dagster makes it from `dagster.yaml`."""
        return cls(config_value["postgres_url"], inst_data=inst_data)


class _Runs(PostgresRunStorage):
    def dispose(self) -> None:
        """Close what is open: the instance calls this at its end."""
        self._engine.dispose()


class _Events(PatientClaims, PostgresEventLogStorage):
    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        """Make a pool known; one that another machine has just made is known.

        Dagster would then go on in a transaction that Postgres has given up (dagster 1.13).
        """
        try:
            return bool(super().initialize_concurrency_limit_to_default(concurrency_key))
        except InternalError:
            return True

    def dispose(self) -> None:
        """Close what is open: the instance calls this at its end."""
        super().dispose()
        self._engine.dispose()


def _kept(url: str) -> Engine:
    """An engine whose connections stay open between two uses, and are opened anew when the server was restarted."""
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=_MOST_CONNECTIONS - 1,
        pool_pre_ping=True,
    )

"""What a warehouse says of itself, and how it gets the tables, columns, views and comments that the code has.

What those are belongs in `redpop_assets.storage.schema`; how data follow when tables change their shape, in
`redpop_assets.storage.migrations`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import duckdb

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.migrations import Migration, apply, pending, record_as_new
from redpop_assets.storage.schema import LAYERS, Schema, Table

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

_Kind: TypeAlias = tuple[str, bool]
"""Type of a column, and whether it may be NULL."""


@dataclass(frozen=True)
class State:
    """What a file says of itself: whether it has the present definitions, and who filled it, None for nobody yet."""

    is_current: bool
    source: str | None


def as_written(sql: str) -> str:
    """The dialect of a DuckDB file, in which the SQL files are written."""
    return sql


@dataclass(frozen=True)
class Definitions:
    """The tables that a warehouse has, and the migrations that take older ones there.

    Attributes:
        schema: the tables.
        migrations: those that this code knows.
        source: the Reddit whose posts the warehouse may have.
        place: how errors call the warehouse.
        dialect: how the SQL of files, or a type in it, is said to the database.
    """

    schema: Schema
    migrations: tuple[Migration, ...]
    source: str
    place: str
    dialect: Callable[[str], str] = as_written

    @cached_property
    def digest(self) -> str:
        """What a file notes of the definitions it has: it is opened without a closer look when they are the same."""
        parts = [self.schema.digest, *(f"{migration} {migration.sha256}" for migration in self.migrations)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def state(self, conn: duckdb.DuckDBPyConnection) -> State:
        """What the warehouse says of itself. Raises `WarehouseError` when it is none."""
        try:
            digest, source = conn.execute(
                "SELECT (SELECT ddl_digest FROM main.warehouse_state), (SELECT source FROM raw.source)"
            ).fetchall()[0]
        except duckdb.CatalogException as error:
            raise WarehouseError(
                f"{self.place} is a DuckDB file but no warehouse of RedPop: move it away, or set REDPOP_HOME to "
                "another directory."
            ) from error
        return State(bool(digest == self.digest), source)

    def is_current(self, conn: duckdb.DuckDBPyConnection) -> bool:
        """Whether the warehouse has the present definitions. Raises `WarehouseError` when it is of another source."""
        return self.checked_state(conn).is_current

    def checked_state(self, conn: duckdb.DuckDBPyConnection) -> State:
        """What the warehouse says of itself. Raises `WarehouseError` when it is none, or of another source."""
        state = self.state(conn)
        if state.source not in (None, self.source):
            raise WarehouseError(
                f"{self.place} was filled by {state.source}, not by {self.source}: set REDPOP_HOME to another "
                f"directory, or REDPOP_SOURCE={state.source} (or another service that has the posts of {state.source})."
            )
        return state

    def erasures_pending(self, conn: duckdb.DuckDBPyConnection) -> bool:
        """Whether what was erased may still lie in bytes that no row needs."""
        return bool(conn.execute("SELECT erasures_pending FROM main.warehouse_state").fetchall()[0][0])

    def erasures_finished(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Note that nothing of it is left."""
        conn.execute("UPDATE main.warehouse_state SET erasures_pending = FALSE")

    def create(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Fill an empty database; it needs none of the migrations."""
        with transaction(conn):
            self._apply(conn)
            record_as_new(conn, self.migrations)

    def pending(self, conn: duckdb.DuckDBPyConnection) -> tuple[Migration, ...]:
        """The migrations that the warehouse still needs. Raises `WarehouseError` when newer code wrote it."""
        return pending(conn, self.migrations, self.place)

    def migrate(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Run the migrations that the file, a copy, still needs, and renew its definitions.

        Raises `WarehouseError` when one fails or leads to other columns than those of the SQL files; the copy is then
        good for nothing.
        """
        self._run_migrations(conn)
        self.renew(conn)

    def migrate_at_once(self, conn: duckdb.DuckDBPyConnection) -> None:
        """As `migrate`, for a database where one transaction can hold all of it: what fails leaves nothing behind."""
        with transaction(conn):
            self._run_migrations(conn)
            self._apply(conn)

    def renew(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Create what is missing, comment everything, renew all views, and note the digest, in one transaction.

        Raises `WarehouseError` when a table has other columns than its SQL file; nothing has changed then.
        """
        with transaction(conn):
            self._apply(conn)

    def _run_migrations(self, conn: duckdb.DuckDBPyConnection) -> None:
        self._drop_views(conn)
        for migration in self.pending(conn):
            apply(conn, migration, self.dialect)

    def _apply(self, conn: duckdb.DuckDBPyConnection) -> None:
        for layer in LAYERS:
            conn.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
        self._drop_views(conn)
        tables = [table for table in self.schema.values() if not table.is_view]
        existing = _existing(conn)
        for table in tables:
            self._add_columns(conn, table, existing.get(table.name, {}))
            self._execute_ddl(conn, table)
        self._require_columns(conn, tables)
        for table in self.schema.values():
            if table.is_view:
                self._execute_ddl(conn, table)
        conn.execute(_STATE_DDL)
        conn.execute("INSERT INTO main.warehouse_state SELECT '', FALSE WHERE NOT EXISTS (FROM main.warehouse_state)")
        conn.execute("UPDATE main.warehouse_state SET ddl_digest = ?", [self.digest])

    def _drop_views(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Views hold no data: without them tables can be altered, and views renamed."""
        for layer, view in conn.execute(
            "SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE database_name = current_database() AND list_contains($layers, schema_name)",
            {"layers": list(LAYERS)},
        ).fetchall():
            conn.execute(f'DROP VIEW IF EXISTS {layer}."{view}"')

    def _add_columns(self, conn: duckdb.DuckDBPyConnection, table: Table, existing: Mapping[str, _Kind]) -> None:
        """Give an existing table the columns that it lacks and that may be NULL; nobody has to be asked for those."""
        for column in table.columns if existing else ():
            if column.nullable and column.name not in existing:
                conn.execute(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {self.dialect(column.type)}')

    def _execute_ddl(self, conn: duckdb.DuckDBPyConnection, table: Table) -> None:
        try:
            conn.execute(self.dialect(table.ddl))
        except duckdb.Error as error:
            # A comment on a column that the existing table lacks is the usual reason; that error would name no remedy.
            conn.rollback()
            conn.begin()
            self._require_columns(conn, [table])
            raise WarehouseError(
                f"The SQL file of {table.name} does not fit {self.place}: {error}. {_REMEDY}"
            ) from error

    def _require_columns(self, conn: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
        """Raise `WarehouseError` when one of the tables exists with other columns than its SQL file; order is free."""
        existing = _existing(conn)
        for table in tables:
            wanted = {column.name: (self.dialect(column.type), column.nullable) for column in table.columns}
            actual = existing.get(table.name, wanted)
            differences = [
                f"{name} is {_spelled(actual.get(name))} in the file and {_spelled(wanted.get(name))} in the SQL"
                for name in dict.fromkeys((*wanted, *actual))
                if actual.get(name) != wanted.get(name)
            ]
            if differences:
                raise WarehouseError(
                    f"{table.name} in {self.place} has other columns than its SQL file: {'; '.join(differences)}. "
                    f"{_REMEDY}"
                )


@contextmanager
def transaction(conn: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit at the end of the block, roll back on an exception."""
    conn.begin()
    try:
        yield
    except BaseException:
        # A fatal error has ended the transaction already; what went wrong is the error to see, not that.
        with suppress(duckdb.Error):
            conn.rollback()
        raise
    conn.commit()


def _existing(conn: duckdb.DuckDBPyConnection) -> dict[str, dict[str, _Kind]]:
    """The columns of every table and view that the connected database has, by qualified name."""
    existing: dict[str, dict[str, _Kind]] = {}
    for name, column, type_, nullable in conn.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
        " WHERE NOT internal AND database_name = current_database()"
    ).fetchall():
        existing.setdefault(name, {})[column] = (type_, nullable)
    return existing


def _spelled(column: _Kind | None) -> str:
    if column is None:
        return "missing"
    type_, nullable = column
    return type_ if nullable else f"{type_} NOT NULL"

"""How existing warehouses follow when the SQL files of `warehouse/schema/` change: `warehouse/migrations/*.sql`.

The first opening of a warehouse by new code creates tables that are new, adds new columns that may be NULL, and renews
views and comments; nobody has to write anything for that. Everything else needs a migration: a column renamed, retyped,
dropped or made NOT NULL, a table renamed or dropped, values that are written differently from now on. To write one:

1. Change the SQL file of the table, and add a file with the next number, such as `0007_rename_ratio.sql`. It begins
   with a comment that says what changes for whom, and brings the data from the old shape into the new one. Each
   statement counts at once, so a table can be updated and then altered. Views are gone meanwhile; they and the comments
   are renewed afterwards.
2. What can be computed again may be dropped: the table is created anew, and the next refresh fills it. What is in `raw`
   cannot be fetched again and is never dropped.
3. What once came without a migration may be missing in an older home. Make sure of it first, in its old shape:
   `CREATE TABLE IF NOT EXISTS`, `ADD COLUMN IF NOT EXISTS`; or say `ALTER TABLE IF EXISTS`.
4. What somebody wants gone leaves no trace in free blocks if `UPDATE main.warehouse_state SET erasures_pending = TRUE`
   comes last.
5. What SQL cannot do is a function in Python that the migrating connection is given
   (`redpop_assets/storage/names_in_sql.py`). It is part of the migration: what it does to older homes must stay right.
6. A migration that others may have been through is never changed; the next one mends it.

A test takes the homes that older versions wrote (`redpop_assets_tests/storage/homes/`) through all of them.

Migrations never touch the warehouse itself. `Warehouse` lets them work on a copy while it keeps everybody else out, and
the copy replaces the file when all have succeeded: a failed or killed one leaves the file as it was. (One transaction
could not hold them: DuckDB commits no table that was changed first and altered then.) What belongs here: the files, and
which of them a warehouse has been through.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.schema import warehouse_folder

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_DDL = """
CREATE TABLE IF NOT EXISTS main.warehouse_migrations (
    version INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    applied_at TIMESTAMP
);
COMMENT ON TABLE main.warehouse_migrations IS 'The migrations that this warehouse needs no more.';
COMMENT ON COLUMN main.warehouse_migrations.version IS 'Number of the file in warehouse/migrations.';
COMMENT ON COLUMN main.warehouse_migrations.name IS 'What its name says after the number.';
COMMENT ON COLUMN main.warehouse_migrations.sha256 IS 'SHA-256 of the file.';
COMMENT ON COLUMN main.warehouse_migrations.applied_at IS 'When it was applied (UTC); NULL: the file is younger.';
"""


@dataclass(frozen=True)
class Migration:
    """One file of `warehouse/migrations/`."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the SQL, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"


@cache
def load_migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """The files of `folder` (default: `migrations/` of `warehouse_folder()`), numbered from 1; cached per folder.

    Raises `WarehouseError` naming the file when its name is no number and words, when a number is missing or taken
    twice, and when its SQL cannot be parsed.
    """
    folder = folder or warehouse_folder() / "migrations"
    conn = duckdb.connect(":memory:", config={"threads": "1"})
    try:
        migrations = tuple(_read(path, conn) for path in sorted(folder.glob("*.sql")))
    finally:
        conn.close()
    for number, migration in enumerate(migrations, start=1):
        if migration.version != number:
            raise WarehouseError(
                f"{folder / str(migration)}.sql should have number {number:04}: migrations are numbered one by one, "
                "without gaps, and no number is used twice."
            )
    return migrations


def pending(conn: duckdb.DuckDBPyConnection, migrations: Sequence[Migration], place: str) -> tuple[Migration, ...]:
    """Those that the warehouse behind a connection has not been through, in order. `place` is how errors call it.

    Raises `WarehouseError` when the warehouse has been through one that is not among these, which is so when newer code
    wrote it.
    """
    known: list[tuple[int, str, str, datetime | None]] = []
    if conn.execute(
        "SELECT 1 FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name = 'main' AND table_name = 'warehouse_migrations'"
    ).fetchone():
        known = conn.execute(
            "SELECT version, name, sha256, applied_at FROM main.warehouse_migrations ORDER BY version"
        ).fetchall()
    if len(known) > len(migrations):
        raise WarehouseError(
            f"{place} was written by a newer RedPop: it is at version {len(known)}, and this one knows "
            f"{len(migrations)}. Install the newer one again, or set REDPOP_HOME to another directory."
        )
    for migration, (version, name, sha256, applied_at) in zip(migrations, known, strict=False):
        # A file created by the newest code has run nothing, so only the names have to agree.
        if (migration.version, migration.name) != (version, name) or (applied_at and migration.sha256 != sha256):
            raise WarehouseError(
                f"{place} has been through a migration {version:04}_{name} that is not the {migration} of this RedPop. "
                "Use the version of RedPop that wrote it, or restore a backup from before."
            )
    return tuple(migrations[len(known) :])


def apply(conn: duckdb.DuckDBPyConnection, migration: Migration, dialect: Callable[[str], str]) -> None:
    """Run it, statement by statement, as `dialect` says it, and note that it has been. Views have to be gone.

    Raises `WarehouseError` when a statement fails; what the ones before did stays.
    """
    conn.execute(_DDL)
    try:
        conn.execute(dialect(migration.sql))
    except duckdb.Error as error:
        raise WarehouseError(f"Migration {migration} failed: {error}") from error
    _record(conn, migration, utc_now())


def record_as_new(conn: duckdb.DuckDBPyConnection, migrations: Sequence[Migration]) -> None:
    """Note in a warehouse that is being created that it needs none of these."""
    conn.execute(_DDL)
    for migration in migrations:
        _record(conn, migration, None)


def _record(conn: duckdb.DuckDBPyConnection, migration: Migration, applied_at: datetime | None) -> None:
    conn.execute(
        "INSERT INTO main.warehouse_migrations VALUES (?, ?, ?, ?)",
        [migration.version, migration.name, migration.sha256, applied_at],
    )


def _read(path: Path, conn: duckdb.DuckDBPyConnection) -> Migration:
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise WarehouseError(f"{path} is no name of a migration: they look like 0007_rename_scores.sql.")
    sql = path.read_text(encoding="utf-8")
    try:
        statements = conn.extract_statements(sql)
    except duckdb.Error as error:
        raise WarehouseError(f"{path} cannot be parsed, correct it: {error}") from error
    if not statements:
        raise WarehouseError(f"{path} has no SQL in it.")
    return Migration(int(match[1]), match[2], sql)

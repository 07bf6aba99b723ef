"""What is done to a lake as a whole: small files are merged, and what was erased leaves it for good.

DuckLake deletes by writing down what does not count any more: the bytes stay in files for as long as a snapshot needs
them, and their least and greatest values in the catalogue. All of it happens under the lock of writers.
"""

import time
from datetime import timedelta
from typing import Any, Final

import duckdb

from redpop_assets.errors import WarehouseLocked
from redpop_assets.storage.lake_address import METADATA
from redpop_assets.storage.lake_connection import CATALOGUE, NAME

_MANY_FILES: Final = 8
_LOOK_AGAIN_SECONDS: Final = 0.1
_FILES = f"""
SELECT s.schema_name, t.table_name,
    (SELECT count(*) FROM {METADATA}.ducklake_data_file AS f
        WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL) AS files,
    (SELECT count(*) FROM {METADATA}.ducklake_delete_file AS d
        WHERE d.table_id = t.table_id AND d.end_snapshot IS NULL) AS deletions
FROM {METADATA}.ducklake_table AS t JOIN {METADATA}.ducklake_schema AS s USING (schema_id)
WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL
"""
_OTHERS = """
SELECT coalesce(nullif(application_name, ''), usename) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'redpop/%%'
    AND xact_start < %s
"""
# Least and greatest values of a column, of all files that there are. DuckLake itself only ever widens them, and takes
# what it finds empty for a table without rows. Values are texts, so how they compare depends on the type.
_BOUNDS = f"""
WITH bounds AS (
    SELECT f.table_id, f.column_id, f.min_value, f.max_value, lower(c.column_type) AS type
    FROM {CATALOGUE}.{METADATA}.ducklake_file_column_stats AS f
    JOIN {CATALOGUE}.{METADATA}.ducklake_column AS c USING (table_id, column_id)
    WHERE c.end_snapshot IS NULL
), ordered AS (
    SELECT *, CASE
        WHEN type SIMILAR TO 'u?int[0-9]+' THEN 'whole' WHEN type LIKE 'float%' THEN 'real'
        WHEN type LIKE 'time%' OR type = 'date' THEN 'moment' ELSE 'text' END AS kind
    FROM bounds
)
SELECT table_id, column_id,
    CASE any_value(kind)
        WHEN 'whole' THEN arg_min(min_value, TRY_CAST(min_value AS HUGEINT))
        WHEN 'real' THEN arg_min(min_value, TRY_CAST(min_value AS DOUBLE))
        WHEN 'moment' THEN arg_min(min_value, TRY_CAST(min_value AS TIMESTAMP))
        ELSE min(min_value) END AS least,
    CASE any_value(kind)
        WHEN 'whole' THEN arg_max(max_value, TRY_CAST(max_value AS HUGEINT))
        WHEN 'real' THEN arg_max(max_value, TRY_CAST(max_value AS DOUBLE))
        WHEN 'moment' THEN arg_max(max_value, TRY_CAST(max_value AS TIMESTAMP))
        ELSE max(max_value) END AS greatest
FROM ordered GROUP BY table_id, column_id
"""


def compact(conn: duckdb.DuckDBPyConnection, catalogue: Any) -> None:
    """Merge the files of tables that have many, and forget snapshots that nobody reads any more.

    Args:
        conn: to the lake.
        catalogue: connection of the driver to its Postgres.
    """
    for schema, table, files, deletions in _files(catalogue):
        of_table = f"'{NAME}', '{table}', schema => '{schema}'"
        if deletions >= _MANY_FILES:
            conn.execute(f"CALL ducklake_rewrite_data_files({of_table}, delete_threshold => 0)").fetchall()
        if files >= _MANY_FILES:
            conn.execute(f"CALL ducklake_merge_adjacent_files({of_table})").fetchall()
    # Whoever reads, reads for seconds. What a snapshot of an hour ago needed goes now.
    old = "older_than => now() - INTERVAL 1 HOUR"
    conn.execute(f"CALL ducklake_expire_snapshots('{NAME}', {old})").fetchall()
    conn.execute(f"CALL ducklake_cleanup_old_files('{NAME}', {old})").fetchall()


def erase_for_good(conn: duckdb.DuckDBPyConnection, catalogue: Any, *, patience: timedelta) -> None:
    """Leave no byte of rows that were deleted: in no file of the lake, and in no table of its catalogue.

    Files are rewritten without them, all older snapshots expire, and their files are deleted when those who read them
    have ended. What Postgres itself keeps for its own recovery, and backups, are not in reach.

    Args:
        conn: to the lake.
        catalogue: connection of the driver to its Postgres, in autocommit.
        patience: longest wait for those who read an older snapshot.

    Raises:
        WarehouseLocked: they read for longer than that.
    """
    for schema, table, _, deletions in _files(catalogue):
        if deletions:
            of_table = f"'{NAME}', '{table}', schema => '{schema}'"
            conn.execute(f"CALL ducklake_rewrite_data_files({of_table}, delete_threshold => 0)").fetchall()
    conn.execute(f"CALL ducklake_expire_snapshots('{NAME}', older_than => now()::TIMESTAMPTZ)").fetchall()
    _wait_for_readers(catalogue, patience)
    conn.execute(f"CALL ducklake_cleanup_old_files('{NAME}', cleanup_all => true)").fetchall()
    # What writers that were killed, or rolled back, had written: in no snapshot, and yet there.
    conn.execute(f"CALL ducklake_delete_orphaned_files('{NAME}', cleanup_all => true)").fetchall()
    bounds = conn.execute(_BOUNDS).fetchall()
    with catalogue.cursor() as cursor:
        stats = f"{METADATA}.ducklake_table_column_stats"
        cursor.execute("BEGIN")
        # Of tables without a file there is nothing to say.
        cursor.execute(
            f"DELETE FROM {stats} AS s WHERE NOT EXISTS (SELECT 1 FROM {METADATA}.ducklake_data_file AS f "
            "WHERE f.table_id = s.table_id AND f.end_snapshot IS NULL)"
        )
        cursor.executemany(
            f"UPDATE {stats} SET min_value = %s, max_value = %s WHERE table_id = %s AND column_id = %s",
            [(least, greatest, table, column) for table, column, least, greatest in bounds],
        )
        cursor.execute("COMMIT")
        # Deleted rows of Postgres lie in free space until it is used again.
        for name in ("ducklake_table_column_stats", "ducklake_file_column_stats"):
            cursor.execute(f"VACUUM (FULL, ANALYZE) {METADATA}.{name}")


def schema_version(conn: duckdb.DuckDBPyConnection) -> int:
    """A number that changes with every change of tables and views, in the snapshot that a connection reads."""
    newest = f"SELECT schema_version FROM {METADATA}.ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1"
    return int(conn.execute(f"FROM postgres_query('{CATALOGUE}', '{newest}')").fetchall()[0][0])


def tables_with_files(conn: duckdb.DuckDBPyConnection) -> set[str]:
    """Tables that may have rows, in the snapshot that a connection reads."""
    found = conn.execute(
        f"SELECT schema_name || '.' || table_name FROM postgres_query('{CATALOGUE}', $1) WHERE files > 0", [_FILES]
    )
    return {name for (name,) in found.fetchall()}


def _files(catalogue: Any) -> list[tuple[str, str, int, int]]:
    """Schema, table, number of files, and number of files that say what was deleted from them."""
    with catalogue.cursor() as cursor:
        cursor.execute(_FILES)
        return list(cursor.fetchall())


def _wait_for_readers(catalogue: Any, patience: timedelta) -> None:
    """Wait until everybody who may read an older snapshot has ended."""
    deadline = time.monotonic() + patience.total_seconds()
    with catalogue.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
        while True:
            cursor.execute(_OTHERS, [now])
            others = sorted({name for (name,) in cursor.fetchall()})
            if not others:
                return
            if time.monotonic() >= deadline:
                raise WarehouseLocked(
                    f"What was erased is still read, for longer than {patience.total_seconds():g} s, by "
                    f"{', '.join(others)}: end that process and publish again."
                )
            time.sleep(_LOOK_AGAIN_SECONDS)

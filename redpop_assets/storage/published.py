"""The published file of a home directory, opened by whoever reads it."""

from pathlib import Path

import duckdb

from redpop_assets.errors import NothingPublished, OtherVersion, WarehouseError, WarehouseLocked
from redpop_assets.storage.live_file import held_elsewhere, prepare

Config = dict[str, str | bool | int | float | list[str]]


def published_file(home: Path) -> Path:
    """Where it is.

    Raises:
        NothingPublished: nothing is published yet.
    """
    path = home / "redpop.duckdb"
    if not path.exists():
        raise NothingPublished(
            f"Nothing is published at {path} yet: run `redpop materialize`, or set REDPOP_HOME to the home "
            "directory that has it (that of the demo is warehouse/demo)."
        )
    return path


def open_published(
    home: Path, config: Config | None = None, *, locked: bool = False, apart: bool = False
) -> duckdb.DuckDBPyConnection:
    """Connect to it, read-only. It may be replaced meanwhile: the connection keeps its snapshot.

    Args:
        home: the home directory.
        config: more settings of the connection.
        locked: for SQL of others: no other file is reached, no extension loaded, and no setting changed.
        apart: whatever else of this process has the path open. DuckDB has one database per path and process: as long
            as one connection to a file that was replaced is there, others get that file, too. Each cursor of this
            connection has to `USE published` before it reads.

    Raises:
        WarehouseLocked: a program has it open for writing.
        WarehouseError: nothing is published yet, or the file cannot be opened.
    """
    path = published_file(home)
    wanted: Config = {"autoinstall_known_extensions": "false", **(config or {})}
    try:
        if apart:
            connection = duckdb.connect(":memory:", config=wanted)
            quoted = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS published (READ_ONLY); USE published")
        else:
            connection = duckdb.connect(path, read_only=True, config=wanted)
    except duckdb.Error as error:
        # No copy is read instead: while somebody may write to the file, a copy could be of two halves.
        if holder := held_elsewhere(error):
            raise WarehouseLocked(
                f"{path} is open for writing in {holder}, and DuckDB lets nobody else read it meanwhile. Close it "
                "there, or open it read-only there (in DBeaver: driver property duckdb.read_only = true)."
            ) from error
        raise WarehouseError(
            f"{path} cannot be opened ({' '.join(str(error).split())}). `redpop materialize` publishes it anew."
        ) from error
    prepare(connection)
    if locked:
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
    return connection


def of_another_version(path: Path, error: duckdb.Error) -> OtherVersion:
    """What to say when the published file lacks a table or a column that this version reads."""
    return OtherVersion(
        f"{path} was published by another version of RedPop: run `redpop materialize` and try again. "
        f"({str(error).splitlines()[0]})"
    )

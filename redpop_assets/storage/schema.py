"""What the warehouse stores, read from `warehouse/schema/<layer>/<table>.sql`: the one truth about columns.

The SQL files are not parsed: they are executed in an in-memory DuckDB, whose catalogue then says what they define. What
belongs here is the definition of tables; opening and writing the file belongs in `redpop_assets.storage.warehouse`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from redpop_assets.errors import WarehouseError

LAYERS = ("raw", "core", "features", "models", "marts")

_KEY = re.compile(r"\s*Key: \(([^()]*)\)\.$")
_KNOWN_AT = re.compile(r"\s*known_at=(\w*)$")
_KNOWN_AT_VALUES = ("before_post", "at_post", "after_post")


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, whether it may be NULL, what it means, and (features) when it was knowable."""

    name: str
    type: str
    nullable: bool
    description: str
    known_at: str | None

    @property
    def is_feature(self) -> bool:
        """Whether it is a number, or a vector of them, that predictors could look at."""
        return self.type.startswith("FLOAT")


@dataclass(frozen=True)
class Table:
    """One table or view. `name` is qualified (`raw.submissions`); `key` names the columns that identify a row."""

    name: str
    layer: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    description: str
    is_view: bool
    ddl: str

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in the order of the SQL file."""
        return tuple(column.name for column in self.columns)


class Schema(Mapping[str, Table]):
    """All tables by qualified name, in an order in which their DDL can be executed: by layer, views after tables."""

    def __init__(self, tables: tuple[Table, ...]) -> None:
        self._tables = {table.name: table for table in tables}
        self._digest = hashlib.sha256("\0".join(table.ddl for table in tables).encode()).hexdigest()

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole DDL, hexadecimal: equal digests mean that nothing has to be created or commented."""
        return self._digest


def warehouse_folder() -> Path:
    """Folder that holds `schema/` and `queries/`: inside an installed package, else `warehouse/` of the checkout.

    Raises `WarehouseError` when neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    # The packaged folder comes first: beside an installed package, a folder called `warehouse` could be anybody's.
    for folder in (package / "_warehouse", package.parent / "warehouse"):
        if (folder / "schema").is_dir():
            return folder
    raise WarehouseError(
        f"The table definitions are missing: neither {package / '_warehouse'} nor {package.parent / 'warehouse'} has a "
        "folder schema/. Install RedPop again, or run it from a complete checkout."
    )


@cache
def load_schema(folder: Path | None = None) -> Schema:
    """Read every `<layer>/<table>.sql` below `folder` (default: `schema/` of `warehouse_folder()`); cached per folder.

    Raises `WarehouseError` naming the file when its SQL fails, when it defines anything but `<layer>.<table>`, when
    a key names no column of the table or a nullable one, and when a `known_at` has no known value.
    """
    folder = folder or warehouse_folder() / "schema"
    paths = [path for layer in LAYERS for path in sorted((folder / layer).glob("*.sql"))]
    ddl = {f"{path.parent.name}.{path.stem}": path.read_text(encoding="utf-8") for path in paths}
    conn = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false", "threads": "1"})
    try:
        for layer in LAYERS:
            conn.execute(f"CREATE SCHEMA {layer}")
        names = _execute(conn, ddl)
        # One look at the catalogue for all tables: a query per table would cost more than the DDL.
        relations = conn.execute(
            "SELECT schema_name || '.' || table_name, false, coalesce(comment, '') FROM duckdb_tables()"
            " UNION ALL "
            "SELECT schema_name || '.' || view_name, true, coalesce(comment, '') FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        columns: dict[str, list[Column]] = {name: [] for name, _, _ in relations}
        for relation, *column in conn.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable, coalesce(comment, '')"
            " FROM duckdb_columns() WHERE NOT internal ORDER BY table_oid, column_index"
        ).fetchall():
            columns[relation].append(_column(relation, *column))
    finally:
        conn.close()
    found = {name: (is_view, comment) for name, is_view, comment in relations}
    if stray := sorted(set(names) ^ set(found)):
        raise WarehouseError(
            f"The files below {folder} and the tables they define differ in {', '.join(stray)}: "
            "each <layer>/<table>.sql defines the table <layer>.<table> and no other."
        )
    tables = [_table(name, *found[name], tuple(columns[name]), ddl[name]) for name in names]
    return Schema(tuple(sorted(tables, key=lambda table: table.is_view)))


def _execute(conn: duckdb.DuckDBPyConnection, ddl: Mapping[str, str]) -> list[str]:
    """Execute the files and return their names in an order in which each view finds what it reads."""
    done: list[str] = []
    pending = list(ddl)
    while pending:
        failures: dict[str, duckdb.Error] = {}
        for name in pending:
            try:
                conn.execute(ddl[name])
                done.append(name)
            except duckdb.Error as failure:
                failures[name] = failure
        if len(failures) == len(pending):
            name, error = next(iter(failures.items()))
            raise WarehouseError(f"{_file(name)} cannot be executed, correct it: {error}") from error
        pending = list(failures)
    return done


def _table(name: str, is_view: bool, comment: str, columns: tuple[Column, ...], ddl: str) -> Table:
    match = _KEY.search(comment)
    key = tuple(part.strip() for part in match[1].split(",")) if match else ()
    # A view cannot declare NOT NULL, so only the key of a table can be held to it.
    allowed = {column.name for column in columns if is_view or not column.nullable}
    if unfit := [column for column in key if column not in allowed]:
        raise WarehouseError(
            f"{_file(name)}: key column {', '.join(unfit)} is missing or may be NULL; correct the file."
        )
    return Table(name, name.split(".")[0], columns, key, _KEY.sub("", comment), is_view, ddl)


def _column(table: str, name: str, type_: str, nullable: bool, comment: str) -> Column:
    match = _KNOWN_AT.search(comment)
    if match and match[1] not in _KNOWN_AT_VALUES:
        raise WarehouseError(
            f"{_file(table)}: column {name} has known_at={match[1]}; write one of {', '.join(_KNOWN_AT_VALUES)}."
        )
    return Column(name, type_, nullable, _KNOWN_AT.sub("", comment), match[1] if match else None)


def _file(name: str) -> str:
    return f"warehouse/schema/{name.replace('.', '/')}.sql"

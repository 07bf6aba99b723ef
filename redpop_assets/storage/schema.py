"""What the warehouse stores, read from `warehouse/schema/<layer>/<table>.sql`: the one truth about columns.

The SQL files are executed in an in-memory DuckDB, whose catalogue then says what they define. Only the comments of
columns are taken from the statements themselves: every process that loads the definitions reads all files, and DuckDB
would need longer for writing a thousand comments into its catalogue than for all else. What belongs here is the
definition of tables; opening and writing the file belongs in `redpop_assets.storage.warehouse`.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from redpop_assets.errors import WarehouseError
from redpop_assets.storage import facts
from redpop_assets.storage.facts import Missing, Placeholder

if TYPE_CHECKING:
    import duckdb

LAYERS = ("raw", "core", "features", "models", "marts")

_COMMENT = re.compile(r"(?:--.*\n|\s)*COMMENT ON COLUMN (\w+\.\w+)\.(\w+) IS '((?:[^']|'')*)'\s*;?\s*")
"""The usual form of a column's comment; any other is left to DuckDB."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, whether it may be NULL, what it means, and the facts of its comment.

    `source` is that of the table where the column names none.
    """

    name: str
    type: str
    nullable: bool
    description: str
    known_at: str | None = None
    unit: str | None = None
    source: str | None = None
    missing: Missing | None = None
    placeholder: Placeholder | None = None

    @property
    def is_feature(self) -> bool:
        """Whether it is a number, or a vector of them, that predictors could look at."""
        return self.type.startswith("FLOAT") and self.known_at is not None


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
    source: str | None = None

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in the order of the SQL file."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def features(self) -> tuple[Column, ...]:
        """The columns that are features."""
        return tuple(column for column in self.columns if column.is_feature)


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

    Raises `WarehouseError` naming the file when its SQL fails, when it defines anything but `<layer>.<table>`, when a
    fact of a comment is unknown or has no possible value (`redpop_assets.storage.facts`), when a key names no column of
    the table or one that may be NULL, and when a number in the layer `features` does not say when it is known.
    """
    import duckdb

    folder = folder or warehouse_folder() / "schema"
    paths = [path for layer in LAYERS for path in sorted((folder / layer).glob("*.sql"))]
    ddl = {f"{path.parent.name}.{path.stem}": path.read_text(encoding="utf-8") for path in paths}
    conn = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false", "threads": "1"})
    try:
        for layer in LAYERS:
            conn.execute(f"CREATE SCHEMA {layer}")
        names, comments = _execute(conn, ddl)
        # One look at the catalogue for all tables: a query per table would cost more than the DDL.
        relations = conn.execute(
            "SELECT schema_name || '.' || table_name, false, coalesce(comment, '') FROM duckdb_tables()"
            " UNION ALL "
            "SELECT schema_name || '.' || view_name, true, coalesce(comment, '') FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        columns: dict[str, list[tuple[str, str, bool, str]]] = {name: [] for name, _, _ in relations}
        for relation, name, type_, nullable, comment in conn.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable, coalesce(comment, '')"
            " FROM duckdb_columns() WHERE NOT internal ORDER BY table_oid, column_index"
        ).fetchall():
            columns[relation].append((name, type_, nullable, comments.pop((relation, name), comment)))
    finally:
        conn.close()
    found = {name: (is_view, comment) for name, is_view, comment in relations}
    if stray := sorted(set(names) ^ set(found)):
        raise WarehouseError(
            f"The files below {folder} and the tables they define differ in {', '.join(stray)}: "
            "each <layer>/<table>.sql defines the table <layer>.<table> and no other."
        )
    for table, column in comments:
        raise WarehouseError(f"{_file(table)}: there is a comment on column {column}, but no such column; correct it.")
    tables = [_table(name, *found[name], columns[name], ddl[name]) for name in names]
    return Schema(tuple(sorted(tables, key=lambda table: table.is_view)))


def _execute(conn: "duckdb.DuckDBPyConnection", ddl: Mapping[str, str]) -> tuple[list[str], dict[tuple[str, str], str]]:
    """Execute the files; returns their names in an order in which each view finds what it reads, and the comments.

    Comments of columns are by table and column, as far as the catalogue has not got them.
    """
    import duckdb

    done: list[str] = []
    comments: dict[tuple[str, str], str] = {}
    pending = list(ddl)
    while pending:
        failures: dict[str, duckdb.Error] = {}
        for name in pending:
            try:
                for statement in conn.extract_statements(ddl[name]):
                    if comment := _COMMENT.fullmatch(statement.query):
                        table, column, words = comment.groups()
                        comments[table, column] = words.replace("''", "'")
                    else:
                        conn.execute(statement)
                done.append(name)
            except duckdb.Error as failure:
                failures[name] = failure
        if len(failures) == len(pending):
            name, error = next(iter(failures.items()))
            raise WarehouseError(f"{_file(name)} cannot be executed, correct it: {error}") from error
        pending = list(failures)
    return done, comments


def _table(name: str, is_view: bool, comment: str, described: Sequence[tuple[str, str, bool, str]], ddl: str) -> Table:
    layer = name.partition(".")[0]
    with _blamed(name):
        description, given = facts.split(comment, facts.OF_TABLES)
        key = _read(given, "key", facts.key) or ()
        source = _read(given, "source", facts.source)
    columns = tuple(_column(name, source, *column) for column in described)
    # A view cannot declare NOT NULL, so only the key of a table can be held to it.
    allowed = {column.name for column in columns if is_view or not column.nullable}
    if unfit := [column for column in key if column not in allowed]:
        raise WarehouseError(
            f"{_file(name)}: key column {', '.join(unfit)} is missing or may be NULL; correct the file."
        )
    flags = {column.name for column in columns if column.type == "FLOAT"}
    for column in columns:
        if column.missing and column.missing.flag not in flags - {column.name}:
            raise WarehouseError(
                f"{_file(name)}: column {column.name} is missing where {column.missing.flag} says so, which is no "
                "other number of the table; correct the file."
            )
        if layer == "features" and column.type.startswith("FLOAT") and not column.known_at:
            raise WarehouseError(
                f"{_file(name)}: column {column.name} does not say when it is known; add '| known_at: ' and one of "
                f"{', '.join(facts.KNOWN_AT)} to its comment."
            )
        if layer != "features" and column.known_at:
            raise WarehouseError(
                f"{_file(name)}: column {column.name} has a known_at, but only tables of the layer features hold "
                "features; correct the file."
            )
    return Table(name, layer, columns, key, description, is_view, ddl, source)


def _column(table: str, source: str | None, name: str, type_: str, nullable: bool, comment: str) -> Column:
    with _blamed(table, name):
        description, given = facts.split(comment, facts.OF_COLUMNS)
        return Column(
            name,
            type_,
            nullable,
            description,
            known_at=_read(given, "known_at", facts.known_at),
            unit=_read(given, "unit", facts.unit),
            source=_read(given, "source", facts.source) or source,
            missing=_read(given, "missing", facts.missing),
            placeholder=_read(given, "placeholder", facts.placeholder),
        )


def _read(given: Mapping[str, str], fact: str, parse: Callable[[str], _T]) -> _T | None:
    return parse(given[fact]) if fact in given else None


@contextmanager
def _blamed(table: str, column: str | None = None) -> Iterator[None]:
    """Say of which file, and of which of its columns, a fact is wrong."""
    try:
        yield
    except ValueError as error:
        of = f"column {column}" if column else "the table"
        raise WarehouseError(f"{_file(table)}: the comment of {of} {error}.") from error


def _file(name: str) -> str:
    return f"warehouse/schema/{name.replace('.', '/')}.sql"

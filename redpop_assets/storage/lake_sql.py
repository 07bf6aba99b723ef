"""What DuckLake says otherwise than a DuckDB file: the dialect of its definitions, and how rows are merged into it.

It knows no compression of columns, no arrays of a fixed size, no comments on columns of views, and no MERGE that tells
what it did. So arrays are lists there, whose length is checked when they are written; the published file has arrays.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import duckdb
import pyarrow as pa

from redpop_assets.storage.rows import Merged, Reader, Writer
from redpop_assets.storage.schema import Column, Schema, Table

_TEXT = r"'(?:[^']|'')*'"
_NUMBERS = "U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|BOOLEAN|VARCHAR|TIMESTAMP|DATE"
_REFUSED = re.compile(rf"(?P<kept>{_TEXT}|--[^\n]*)|\s+USING\s+COMPRESSION\s+\w+|\b(?P<type>{_NUMBERS})\[\d+\]", re.I)
_VIEW = re.compile(r"\bCREATE\s+(?:OR\s+REPLACE\s+)?VIEW\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"]+)", re.I)
_LENGTH = re.compile(r"\[(\d+)\]$")


def in_lake(sql: str) -> str:
    """SQL of a definition or a migration, or a type, as DuckLake takes it. What stands in quotes stays as it is."""
    said = _REFUSED.sub(lambda match: match["kept"] or (f"{match['type']}[]" if match["type"] else ""), sql)
    for view in _VIEW.findall(said):
        said = re.sub(rf"\bCOMMENT\s+ON\s+COLUMN\s+{re.escape(view)}\.[\w\"]+\s+IS\s+{_TEXT}\s*(?:;|$)", "", said)
    return said


def lengths_of(schema: Schema) -> dict[str, int]:
    """Length by name of the columns that are arrays of one fixed size in every table that has them."""
    types: dict[str, set[str]] = {}
    for table in schema.values():
        for column in table.columns:
            types.setdefault(column.name, set()).add(column.type)
    found = {name: _LENGTH.search(next(iter(kinds))) for name, kinds in types.items() if len(kinds) == 1}
    return {name: int(match[1]) for name, match in found.items() if match}


class LakeReader(Reader):
    """SQL on an open connection to a lake; columns that are arrays of a fixed size come out as such.

    A result does not say which column of which table it was: its name tells. Without a row nothing else tells a length.
    """

    def __init__(self, conn: duckdb.DuckDBPyConnection, schema: Schema, lengths: Mapping[str, int]) -> None:
        super().__init__(conn, schema)
        self._lengths = lengths

    def _as_declared(self, rows: Any) -> Any:
        for index, field in enumerate(rows.schema):
            if field.name in self._lengths and pa.types.is_list(field.type):
                array = pa.list_(field.type.value_type, self._lengths[field.name])
                with suppress(pa.ArrowInvalid):  # something else of that name
                    rows = rows.set_column(index, field.name, rows.column(index).cast(array))
        return rows


class LakeWriter(LakeReader, Writer):
    """SQL inside one transaction of a lake. Nobody else writes meanwhile, so a key that is new stays new."""

    def _stored_type(self, column: Column) -> str:
        return in_lake(column.type)

    def _fitting(self, column: Column, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
        if length := _LENGTH.search(column.type):
            values = values.cast(pa.list_(wanted.value_type, int(length[1])))
        return values.cast(wanted)

    def _merge_rows(self, table: Table, source: str, same_key: str, differs: str) -> Merged:
        known = f't."{table.key[0]}" IS NOT NULL'
        chosen = f"NOT ({known}) OR ({differs})" if differs else f"NOT ({known})"
        self._conn.execute(
            f"CREATE OR REPLACE TEMP TABLE redpop_merged AS SELECT s.*, {known} AS redpop_known "
            f"FROM {source} AS s LEFT JOIN {table.name} AS t ON {same_key} WHERE {chosen}"
        )
        try:
            inserted, updated = self._conn.execute(
                "SELECT count(*) FILTER (NOT redpop_known), count(*) FILTER (redpop_known) FROM redpop_merged"
            ).fetchall()[0]
            if updated:
                key = ", ".join(f'"{name}"' for name in table.key)
                self._conn.execute(
                    f"DELETE FROM {table.name} WHERE ({key}) IN (SELECT ({key}) FROM redpop_merged WHERE redpop_known)"
                )
            if inserted or updated:
                self._conn.execute(
                    f"INSERT INTO {table.name} BY NAME SELECT * EXCLUDE (redpop_known) FROM redpop_merged"
                )
        finally:
            self._conn.execute("DROP TABLE temp.main.redpop_merged")
        return Merged(inserted, updated)

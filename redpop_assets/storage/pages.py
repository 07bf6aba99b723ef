"""What the pages that are generated from the SQL files have in common: how a table and its columns are shown."""

from collections.abc import Sequence

from redpop_assets import markdown
from redpop_assets.storage.schema import Column, Table


def link(table: Table) -> str:
    """To the section of a table on the same page."""
    return f"[`{table.name}`](#{table.name.replace('.', '')})"


def summary(table: Table) -> str:
    """What a table holds, and one row per what."""
    key = ", ".join(f"`{name}`" for name in table.key)
    parts = ("A view." if table.is_view else "", table.description, f"One row per {key}." if key else "")
    return " ".join(part for part in parts if part)


def columns_table(columns: Sequence[Column], *, is_view: bool) -> str:
    """The columns, and a column of the Markdown table for each kind of fact that any of them has."""
    facts: dict[str, list[str | None]] = {
        "known": [column.known_at for column in columns],
        "unit": [column.unit for column in columns],
        "no value": [_no_value(column) for column in columns],
        "source": [column.source if column.is_feature else None for column in columns],
    }
    shown = {
        "column": [f"`{column.name}`" for column in columns],
        "type": [column.type if column.nullable or is_view else f"{column.type} NOT NULL" for column in columns],
        "description": [column.description for column in columns],
        **{name: values for name, values in facts.items() if any(values)},
    }
    return markdown.table(tuple(shown), zip(*shown.values(), strict=True))


def _no_value(column: Column) -> str:
    """How a row says that it has no value of its own."""
    parts = [f"`{column.missing.flag}` = {column.missing.value:g}"] if column.missing else []
    if column.placeholder:
        parts.append(f"{column.placeholder.value:g}: {column.placeholder.meaning}")
    return "; ".join(parts)

"""What an analysis found, for people: its rows with their intervals."""

from collections.abc import Mapping, Sequence

from redpop_assets import markdown
from redpop_assets.analyses.study import Row


def rows_markdown(rows: Sequence[Row], shown: Mapping[str, str], *, most: int = 60) -> str:
    """Rows as a Markdown table.

    Args:
        rows: of a table.
        shown: column -> title; a column that has `_low` and `_high` beside it is shown with its interval.
        most: rows shown; how many are left out is said.
    """
    table = markdown.table(list(shown.values()), ([_quoted(row, column) for column in shown] for row in rows[:most]))
    return table if len(rows) <= most else f"{table}\n\n… and {len(rows) - most} more rows."


def _quoted(row: Row, column: str) -> str:
    """A cell as Markdown: words, of titles or of pictures, are those of strangers."""
    return markdown.quoted(cell(row, column)) if isinstance(row[column], str | list) else cell(row, column)


def cell(row: Row, column: str) -> str:
    """One value for people, with its interval if it has one; a dash where it is undefined."""
    value = row[column]
    if value is None:
        return markdown.DASH
    if not isinstance(value, float):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    low, high = (row.get(f"{column}_{end}") for end in ("low", "high"))
    return markdown.number(value, ".3f") if low is None else markdown.interval(value, low, high)

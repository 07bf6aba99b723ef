"""Renders `docs/features.md` from the SQL files; `python -m redpop_assets.storage.catalogue_page` writes it.

What a comment says of the unit and the source of a feature is read here, for the page and for marts.feature_catalogue.
"""

import re
from pathlib import Path

from redpop_assets import markdown
from redpop_assets.storage.schema import Column, Schema, Table, load_schema, warehouse_folder

COMMAND = "python -m redpop_assets.storage.catalogue_page"

_INTRODUCTION = f"""\
<!-- Written by `{COMMAND}`; edit the SQL files instead. -->
# The features

Every number that a predictor can look at: {{tables}} tables, {{columns}} columns. The comments of the SQL files in
`warehouse/schema/features/` are the source. What each feature is worth in each subreddit is in
`marts.feature_catalogue`.

| known | meaning |
|---|---|
| `before_post` | could be known while the post was being written: caption, picture, what had matured of earlier posts |
| `at_post` | known at the moment of posting, such as the traffic of the last day |
| `after_post` | became known later, or may have been changed later; training refuses it |

A vector such as `FLOAT[24]` is one feature with 24 components; the width of a `FLOAT[]` is that of its encoder.
"""
_UNITS = ("bits", "bytes", "days", "degrees", "hours", "minutes", "percent", "pixels", "seconds", "words", "characters")
_NUMBER = r"[-−]?\d+(?:\.\d+)?"
_FLAG = re.compile(r"1 (?:if|for|where|when)\b")
_LOGARITHM = re.compile(r"(?:ln|log|log10|log1p)\s*\(")
_IN_BRACKETS = re.compile(rf"\(({'|'.join(_UNITS)})\)")
_SPELLED = re.compile(rf"^(?:number of )?({'|'.join(_UNITS)})\b|\bin ({'|'.join(_UNITS)})(?=[.,;:]|$)", re.IGNORECASE)
_RATIO = re.compile(r"(?<!once )\bper (\w+)")
_SHARE = re.compile(r"\bshare\b", re.IGNORECASE)
_COUNT = re.compile(r"^(?:number|count) of\b|\bcount\.?$", re.IGNORECASE)
_LOG_SCORE = re.compile(r"\blog scores?\b")
_RANGE = re.compile(rf"(?:^|[\s,(])({_NUMBER}) to ({_NUMBER})(?![\d.]*\d)")
_NAME = r"[A-ZÀ-Þ][\w'’-]+"
_SOURCE = re.compile(rf"{_NAME}(?:,? {_NAME})*(?:,? (?:&|and) {_NAME}| et al\.?)?,? (?:19|20)\d\d[a-z]?\b")
_MONTH = re.compile(r"\b(?:Jan|Febr|March|April|May|June|July|August|Septem|Octo|Novem|Decem)\w* ")


def unit_of(column: Column) -> str | None:
    """The unit that the comment of a column names: `hours`, `0 or 1`, `share`, a range; None if it names none."""
    text = column.description
    if _FLAG.match(text):
        return "0 or 1"
    if found := _IN_BRACKETS.search(text):
        return found[1]
    if _LOGARITHM.match(text):
        return "logarithm"
    if found := _RANGE.search(text):
        return f"{found[1]} to {found[2]}"
    if found := _RATIO.search(text):
        return f"per {found[1]}"
    if found := _SPELLED.search(text):
        return (found[1] or found[2]).lower()
    if _COUNT.search(text):
        return "count"
    if _SHARE.search(text):
        return "share"
    return "log score" if _LOG_SCORE.search(text) else None


def source_of(column: Column, table: Table) -> str | None:
    """The publications that the comment of a column cites, or else that of its table; None if neither cites any."""
    for text in (column.description, table.description):
        cited = [found[0] for found in _SOURCE.finditer(text) if not _MONTH.match(found[0])]
        if cited:
            return "; ".join(dict.fromkeys(cited))
    return None


def is_feature(column: Column) -> bool:
    """Whether a column of a feature table is a number, or a vector of them, that predictors could look at."""
    return column.type.startswith("FLOAT")


def feature_tables(schema: Schema) -> list[Table]:
    """The tables of the layer `features` that hold features, by name."""
    return sorted(
        (
            table
            for table in schema.values()
            if table.layer == "features" and any(is_feature(column) for column in table.columns)
        ),
        key=lambda table: table.name,
    )


def render(schema: Schema) -> str:
    """The whole page, in Markdown."""
    tables = feature_tables(schema)
    columns = sum(is_feature(column) for table in tables for column in table.columns)
    contents = markdown.table(
        ("table", "features", "what it holds"),
        [
            (
                f"[`{table.name}`](#{table.name.replace('.', '')})",
                sum(map(is_feature, table.columns)),
                table.description,
            )
            for table in tables
        ],
    )
    parts = [
        _INTRODUCTION.format(tables=len(tables), columns=columns),
        f"{contents}\n",
        *(_section(table) for table in tables),
    ]
    return "\n".join(parts)


def _section(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    grain = f"One row per {key}." if key else ""
    rows = [
        (
            f"`{column.name}`",
            column.type,
            column.description,
            unit_of(column),
            source_of(column, table),
            column.known_at,
        )
        for column in filter(is_feature, table.columns)
    ]
    return (
        f"## {table.name}\n\n{' '.join(part for part in (table.description, grain) if part)}\n\n"
        f"{markdown.table(('feature', 'type', 'description', 'unit', 'source', 'known'), rows)}\n"
    )


def page() -> Path:
    """Where the page is: in `docs/` beside the folder `warehouse/` of the checkout."""
    return warehouse_folder().parent / "docs" / "features.md"


def main() -> None:
    """Write the page."""
    page().write_text(render(load_schema()), encoding="utf-8")


if __name__ == "__main__":
    main()

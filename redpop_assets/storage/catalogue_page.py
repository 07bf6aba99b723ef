"""Renders `docs/features.md` from the SQL files; `python -m redpop_assets.storage.catalogue_page` writes it."""

from pathlib import Path

from redpop_assets import markdown
from redpop_assets.storage.pages import columns_table, link, summary
from redpop_assets.storage.schema import Schema, Table, load_schema, warehouse_folder

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
| `after_age` | known once the post had the age that the row names; only predictors that follow a post see it |
| `after_post` | became known later, or may have been changed later; training refuses it |

"No value" says how a row tells that it has no value of its own: by another column, or by a number that also means that.
A vector such as `FLOAT[24]` is one feature with 24 components; the width of a `FLOAT[]` is that of its encoder.
"""


def feature_tables(schema: Schema) -> list[Table]:
    """The tables that hold features, by name."""
    return sorted((table for table in schema.values() if table.features), key=lambda table: table.name)


def render(schema: Schema) -> str:
    """The whole page, in Markdown."""
    tables = feature_tables(schema)
    contents = [(link(table), len(table.features), table.description) for table in tables]
    parts = [
        _INTRODUCTION.format(tables=len(tables), columns=sum(len(table.features) for table in tables)),
        f"{markdown.table(('table', 'features', 'what it holds'), contents)}\n",
    ]
    for table in tables:
        columns = columns_table(table.features, is_view=table.is_view)
        parts.append(f"## {table.name}\n\n{summary(table)}\n\n{columns}\n")
    return "\n".join(parts)


def page() -> Path:
    """Where the page is: in `docs/` beside the folder `warehouse/` of the checkout."""
    return warehouse_folder().parent / "docs" / "features.md"


def main() -> None:
    """Write the page."""
    page().write_text(render(load_schema()), encoding="utf-8")


if __name__ == "__main__":
    main()

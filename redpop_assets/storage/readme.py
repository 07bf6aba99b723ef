"""Renders `warehouse/README.md` from the SQL files; `python -m redpop_assets.storage.readme` writes it."""

from pathlib import Path

from redpop_assets import markdown
from redpop_assets.storage.pages import columns_table, link, summary
from redpop_assets.storage.schema import LAYERS, Schema, load_schema, warehouse_folder

COMMAND = "python -m redpop_assets.storage.readme"

_LAYERS = {
    "raw": "As the source gave it: nothing is cleaned, nothing is overwritten.",
    "core": "Clean posts, their pictures and their labels.",
    "features": "What predictors see, and when each column was known: before_post, at_post, after_age or after_post.",
    "models": "What was trained, on which rows, with which result.",
    "marts": "Made for reading: start here.",
}

_INTRODUCTION = f"""\
<!-- Written by `{COMMAND}`; edit the SQL files instead. -->
# The warehouse

Every table that RedPop fills, column by column. The definitions are the SQL files in `schema/<layer>/`; questions to
start from are in `queries/`.

| in the home directory | what it is |
|---|---|
| `redpop.duckdb` | the published warehouse, replaced as a whole after every run with changes; **open this one** |
| `live/redpop.duckdb` | the pipeline's own file; an open connection to it keeps the pipeline waiting |
| `images/ab/<sha256>.<ext>` | the pictures, named by content |
| `models/<subreddit>/<predictor>/<digest>/` | the trained predictors, named by content |

The home directory is `REDPOP_HOME`; by default it is this folder.

## Opening it

```sh
redpop sql                                    # a prompt for SQL on the published file
duckdb -readonly warehouse/redpop.duckdb      # any DuckDB client will do: CLI, DBeaver, notebooks
duckdb -readonly warehouse/redpop.duckdb < warehouse/queries/<question>.sql
```

```python
import duckdb

duckdb.connect("warehouse/redpop.duckdb", read_only=True).execute("FROM marts.posts LIMIT 5").fetchall()
```

A client may keep the file open as long as it likes: it goes on seeing the state it opened, and sees the new one when it
connects again. All times are UTC, in columns without time zone. What comments say after a bar, such as
`known_at`, has columns of its own below; [docs/features.md](../docs/features.md) explains them.
"""


def render(schema: Schema, queries: Path) -> str:
    """The whole page, in Markdown. `queries` is the folder of the `*.sql` files people start from."""
    contents = [(link(table), table.description) for table in schema.values()]
    parts = [_INTRODUCTION, "## Tables\n", f"{markdown.table(('table', 'what it holds'), contents)}\n"]
    for layer in LAYERS:
        tables = [table for table in schema.values() if table.layer == layer]
        if tables:
            parts.append(f"## {layer}\n\n{_LAYERS[layer]}\n")
        for table in sorted(tables, key=lambda table: table.name):
            columns = columns_table(table.columns, is_view=table.is_view)
            parts.append(f"### {table.name}\n\n{summary(table)}\n\n{columns}\n")
    if files := sorted(queries.glob("*.sql")):
        rows = [(f"[`{file.name}`](queries/{file.name})", _question(file)) for file in files]
        parts.append(f"## Queries to start from\n\n{markdown.table(('file', 'question'), rows)}\n")
    return "\n".join(parts)


def _question(file: Path) -> str:
    """The comment at the head of a query: what it answers."""
    words: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        words.append(line.removeprefix("--").strip())
    return " ".join(word for word in words if word)


def main() -> None:
    """Write the page beside the definitions it was made from."""
    folder = warehouse_folder()
    (folder / "README.md").write_text(render(load_schema(), folder / "queries"), encoding="utf-8")


if __name__ == "__main__":
    main()

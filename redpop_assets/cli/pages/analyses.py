"""The tables of `redpop analyse`: one of each analysis and community."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from redpop_assets.analyses.study import Analysis, Row
from redpop_assets.cli.console import quoted
from redpop_assets.pages.analyses import cell

_MOST_ROWS = 20  # of one table and community


def print_analysis(analysis: Analysis, rows: Sequence[Row], console: Console) -> None:
    """Print what an analysis found.

    Args:
        analysis: which.
        rows: those of the table or view that it is read from, in its order.
        console: where to.
    """
    shown = {column: title for column, title in analysis.shown.items() if column != "subreddit"}
    for community in dict.fromkeys(row["subreddit"] for row in rows):
        members = [row for row in rows if row["subreddit"] == community]
        title = f"{analysis.read_from} of r/{community}"
        grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        known = [column for column in shown if any(row[column] is not None for row in members[:_MOST_ROWS])]
        for column in known:
            words = shown[column].removesuffix(" (95 %)").replace(" ", "\n")
            grid.add_column(words, no_wrap=column != "reason", vertical="bottom")
        for row in members[:_MOST_ROWS]:
            grid.add_row(*(quoted(cell(row, column)) for column in known))
        console.print(grid)
        if len(members) > _MOST_ROWS:
            more = f'… and {len(members) - _MOST_ROWS} more: `redpop sql "FROM {analysis.read_from}"`'
            console.print(more, soft_wrap=True, highlight=False)
    if not rows:
        console.print(f"{analysis.read_from}: nothing; the log says why.", soft_wrap=True, highlight=False)

"""The leaderboard of predictors that follow a post, in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.evaluation.bootstrap import Interval
from redpop_assets.pages.early import COLUMNS, EXPLAINED, cells, ordered


def print_early_leaderboard(
    rows: Sequence[Mapping[str, Any]], console: Console, ceilings: Mapping[tuple[str, int], Interval] | None = None
) -> None:
    """Print one table per subreddit: by age, best Spearman first, below what nobody can beat where that is known.

    Args:
        rows: of marts.early_leaderboard.
        console: where to.
        ceilings: (subreddit, age in hours) -> the ceiling.
    """
    for subreddit in sorted({row["subreddit"] for row in rows}):
        grid = Grid(title=f"r/{subreddit}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        for name in COLUMNS:
            grid.add_column(name, justify="left" if name == "predictor" else "right", no_wrap=True)
        own = [row for row in rows if row["subreddit"] == subreddit and row["status"] == "trained"]
        for age in sorted({row["age_hours"] for row in own}):
            best = (ceilings or {}).get((subreddit, age))
            if best is not None:
                reach = escape(f"{best.estimate:.3f} [{best.low:.3f}, {best.high:.3f}]")
                grid.add_row(f"{age} h", "highest reachable", reach, style="dim")
            for row in ordered([one for one in own if one["age_hours"] == age]):
                grid.add_row(*(escape(str(cell)) for cell in cells(row)), style="bold" if row["speaks"] else "")
            grid.add_section()
        if own:
            console.print(grid)
        reasons = sorted(
            {
                (row["reason"], row["predictor"], row["age_hours"])
                for row in rows
                if row["subreddit"] == subreddit and row["status"] != "trained"
            }
        )
        for reason in dict.fromkeys(reason for reason, _, _ in reasons):
            which = ", ".join(f"{name} at {age} h" for why, name, age in reasons if why == reason)
            console.print(f"[yellow]r/{subreddit}, not trained:[/] {escape(f'{which}: {reason}')}", highlight=False)
    console.print(EXPLAINED, highlight=False)

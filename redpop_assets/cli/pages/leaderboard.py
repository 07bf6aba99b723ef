"""The leaderboard: one table of each community, and what its marks mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.evaluation.bootstrap import Interval
from redpop_assets.evaluation.comparison import AMONG_BEST, BEST
from redpop_assets.pages.leaderboard import (
    by_spearman,
    detectable_lines,
    left_out_lines,
    legend,
    remark,
    ways_lines,
    with_interval,
)

_MARKS = {BEST: " *", AMONG_BEST: " †"}


def print_leaderboard(
    rows: Sequence[dict[str, Any]], console: Console, ceilings: Mapping[str, Interval] | None = None
) -> None:
    """Print one table per subreddit, best Spearman first, with its ceiling where it is known; then what marks mean."""
    for subreddit in sorted({row["subreddit"] for row in rows}):
        members = [row for row in rows if row["subreddit"] == subreddit]
        size = max(members, key=lambda row: row["test_posts"])
        grid = Grid(
            title=f"r/{subreddit}: {size['test_posts']} test posts, {size['pairs']} pairs, 95 % intervals",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1),
        )
        for name in ("predictor", "Spearman", "MAE", "MSE", "pair accuracy"):
            grid.add_column(name, justify="left" if name == "predictor" else "right", no_wrap=True)
        if ceilings:
            best = ceilings[subreddit]
            reach = escape(f"{best.estimate:.2f} [{best.low:.2f}, {best.high:.2f}]")
            grid.add_row("highest reachable", reach, style="dim")
        trained = [row for row in members if row["status"] == "trained"]
        for row in sorted(trained, key=by_spearman):
            standing = row.get("standing") or ""  # which a file that was published by an earlier version lacks
            grid.add_row(
                row["predictor"] + _MARKS.get(standing, "") + remark(row),
                escape(with_interval(row, "spearman")),
                "–" if row["mae"] is None else f"{row['mae']:.2f}",
                "–" if row["mse"] is None else f"{row['mse']:.2f}",
                escape(with_interval(row, "pair_accuracy")),
                style="bold" if standing == BEST else "",
            )
        console.print(grid)
        for sentence in (*detectable_lines(members), *left_out_lines(members)):
            console.print(escape(sentence), highlight=False)
        for row in members:
            if row["status"] != "trained":
                console.print(f"[yellow]{row['predictor']} not trained:[/] {escape(row['reason'])}", highlight=False)
    if rows:
        for sentence in ways_lines(rows):
            console.print(escape(sentence), highlight=False)
        console.print(legend("*"), highlight=False)

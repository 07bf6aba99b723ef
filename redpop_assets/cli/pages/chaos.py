"""What goes wrong in a sandbox, and what was lost in the demo with chaos."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.demo.verdict import Report


def print_situations(situations: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Print what may go wrong, whether it does, and how often it did."""
    grid = Grid(title="What goes wrong", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("situation", "what", "rate", "thrown"):
        grid.add_column(name, justify="right" if name in ("rate", "thrown") else "left", no_wrap=name != "what")
    for name, row in situations.items():
        rate = f"{row['rate']:g}" if row["on"] else "off"
        grid.add_row(name, escape(row["what"]), rate, str(row["thrown"]), style=None if row["on"] else "dim")
    console.print(grid)


def print_report(report: Report, console: Console) -> None:
    """Print what was done, and each check with what it found."""
    console.print(f"{report.runs} runs; {report.failures} failures, after which they went on.", highlight=False)
    for note in report.notes:
        console.print(escape(note), highlight=False, soft_wrap=True)
    grid = Grid(title="What was lost", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("check", "number", "for example"):
        grid.add_column(name, justify="right" if name == "number" else "left")
    for check, cases in report.checks.items():
        style = "bold red" if cases else None
        grid.add_row(check, str(len(cases)), escape(", ".join(cases[:3])), style=style)
    console.print(grid)
    console.print("[green]Nothing was lost.[/]" if report.lost_nothing else "[bold red]Something was lost.[/]")

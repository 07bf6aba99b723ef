"""`redpop doctor`: the settings as they are, and what is missing for them to work."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.cli.console import console, quoted, say

if TYPE_CHECKING:
    from redpop_assets.settings import Settings


def doctor() -> None:
    """Show every setting, and what is missing: credentials, weights, GPU, disk."""
    from redpop_assets.cli.diagnosis import examine
    from redpop_assets.settings import load_settings

    settings = load_settings()
    print_settings(settings, console())
    missing = False
    for finding in examine(settings):
        mark = "[red]missing[/]  " if finding.missing else "[green]ok[/]       "
        say(f"{mark}{finding.topic}: {quoted(finding.text)}")
        missing |= finding.missing
    raise typer.Exit(1 if missing else 0)


def print_settings(settings: "Settings", console: Console) -> None:
    """Print the value in force of every setting, and what it means."""
    from redpop_assets.settings import shown, variable_of

    grid = Grid("variable", "value", "meaning", title="Settings", title_justify="left")
    for name, field in type(settings).model_fields.items():
        grid.add_row(variable_of(name), quoted(shown(getattr(settings, name))), escape(field.description or ""))
    console.print(grid)

"""`redpop images`: the stored image files."""

from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from redpop_assets.cli.console import console, quoted, say
from redpop_assets.durations import parse_duration

app = typer.Typer(no_args_is_help=True, help="The stored image files.")


@app.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch lost and damaged images again in the next run; remove the rest.")
    ] = False,
    older_than: Annotated[
        str, typer.Option(help="Younger files without a row may still get one: leave them alone.")
    ] = "1h",
) -> None:
    """Read every stored image and compare it with the warehouse: missing, corrupt, orphaned and unused ones."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from redpop_assets.images.verify import KINDS, verify_images
    from redpop_assets.resources import open_images, open_warehouse
    from redpop_assets.settings import load_settings

    settings = load_settings()
    age = parse_duration(older_than)
    with Progress(TextColumn("images"), BarColumn(), TimeRemainingColumn(), console=console(), transient=True) as bar:
        task = bar.add_task("images")
        result = verify_images(
            open_warehouse(settings),
            open_images(settings),
            repair=repair,
            older_than=age,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    say(f"{result.pictures} images in {result.files} files, {result.bytes / 1e6:.1f} MB.")
    grid = Grid(box=SIMPLE_HEAD)
    for column in ("found", "number", "what it is", "example"):
        grid.add_column(column, justify="right" if column == "number" else "left")
    for kind, meaning in KINDS.items():
        finding = result.findings[kind]
        grid.add_row(kind, str(finding.count), meaning, quoted(finding.example))
    console().print(grid)
    if result.repaired:
        say("Repaired. The next `redpop materialize` fetches what was lost.")
    elif not result.is_sound:
        say("`redpop images verify --repair` puts this right: lost images are fetched again, the rest is removed.")
        raise typer.Exit(1)

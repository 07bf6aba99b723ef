"""`redpop demo`: everything on the sandbox, calm or with chaos."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from redpop_assets.cli.arguments import SANDBOX_PORT, Port
from redpop_assets.cli.console import console, quoted, say
from redpop_assets.cli.programs import compute_as_told
from redpop_assets.durations import parse_duration
from redpop_assets.errors import SettingsError


def demo(
    port: Port = SANDBOX_PORT,
    posts: Annotated[
        int | None, typer.Option(help="Posts per community at first. Default: 1000, with chaos 300.", min=50, max=1000)
    ] = None,
    advance: Annotated[str, typer.Option(help="Let this much time pass first, such as 8d or 12h.")] = "",
    chaos: Annotated[
        bool,
        typer.Option(
            "--chaos", help="Let everything go wrong that goes wrong at Reddit, for eleven days, and say what was lost."
        ),
    ] = False,
) -> None:
    """Run the whole graph on the sandbox: harvest, clean, download, embed, train, compare, publish."""
    if not chaos:
        _calm(port, posts or 1000, parse_duration(advance) if advance else None)
    elif advance:
        raise SettingsError("The demo with chaos lets time pass by itself: leave --advance out.")
    else:
        _with_chaos(port + (port == SANDBOX_PORT), posts or 300)  # a calm sandbox may run there


def _calm(port: int, posts: int, advance: timedelta | None) -> None:
    from redpop_assets.cli.pages.early import print_early_leaderboard
    from redpop_assets.cli.pages.leaderboard import print_leaderboard
    from redpop_assets.cli.published import published_rows
    from redpop_assets.demo.calm import run_demo
    from redpop_assets.demo.settings import demo_settings

    settings = demo_settings(port)
    compute_as_told(settings)
    began = time.perf_counter()
    ceilings = run_demo(settings, port=port, posts=posts, advance=advance, say=say)
    print_leaderboard(published_rows(settings, "SELECT * FROM marts.leaderboard"), console(), ceilings.at_posting)
    early = published_rows(settings, "SELECT * FROM marts.early_leaderboard WHERE status = 'trained'")
    if early:  # posts that were read while they were young have matured
        print_early_leaderboard(early, console(), ceilings.early)
    home = quoted(os.path.relpath(settings.home))
    redpop = quoted(os.path.relpath(Path(sys.executable).with_name("redpop")))
    say(
        f"Done in {time.perf_counter() - began:.0f} s. The warehouse: {home}/redpop.duckdb\n"
        "Try next:\n"
        f"  {redpop} dev --demo          # the UI on the demo's home: http://localhost:3000\n"
        f'  REDPOP_HOME={home} {redpop} sql "SELECT caption, score FROM marts.posts ORDER BY score DESC LIMIT 5"\n'
        f'  REDPOP_HOME={home} {redpop} predict -r earthporn -t "Sunrise over the lake [OC]" -i photo.jpg\n'
        "Time stands still in the sandbox; `make demo ADVANCE=8d` lets it pass and refreshes."
    )


def _with_chaos(port: int, posts: int) -> None:
    from redpop_assets.cli.pages.chaos import print_report, print_situations
    from redpop_assets.demo.chaos import run_chaos_demo
    from redpop_assets.demo.settings import chaos_settings

    settings = chaos_settings(port)
    began = time.perf_counter()
    report, thrown = run_chaos_demo(settings, port=port, posts=posts, say=say)
    print_situations(thrown, console())
    print_report(report, console())
    home = quoted(os.path.relpath(settings.home))
    say(f"Done in {time.perf_counter() - began:.0f} s. The warehouse: {home}/redpop.duckdb")
    if not report.lost_nothing:
        raise typer.Exit(1)

"""`redpop sql`: questions to the published warehouse, by DuckDB's own program."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from redpop_assets.cli.console import say
from redpop_assets.cli.programs import program
from redpop_assets.cli.published import published_file
from redpop_assets.errors import SettingsError


def sql(
    statement: Annotated[str, typer.Argument(help="SQL; without it, the interactive DuckDB prompt.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Run the statements of a file.")] = None,
) -> None:
    """Query the published warehouse, read-only. It may stay open while the pipeline runs."""
    from redpop_assets.settings import load_settings

    published = published_file(load_settings())
    if not statement and file is None and sys.stdin.isatty():
        say(f"{published}, read-only. Tables: SHOW ALL TABLES; leave with .quit")
        os.execv(program("duckdb"), ["duckdb", "-readonly", str(published)])
    if file is not None and not file.is_file():
        raise SettingsError(f"There is no file {file}.")
    text = statement or (file.read_text(encoding="utf-8") if file else sys.stdin.read())
    done = subprocess.run([program("duckdb"), "-readonly", str(published), "-c", text], check=False)
    raise typer.Exit(done.returncode)

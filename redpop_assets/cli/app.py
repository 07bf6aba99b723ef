"""`redpop`: the command line. A table of contents; what a command says and asks stands in the module of its topic."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from redpop_assets.cli import images, sandbox
from redpop_assets.cli.analyse import analyse
from redpop_assets.cli.archives import import_posts
from redpop_assets.cli.demo import demo
from redpop_assets.cli.dev import dev
from redpop_assets.cli.doctor import doctor
from redpop_assets.cli.drift import accept_drift
from redpop_assets.cli.exports import export
from redpop_assets.cli.leaderboard import leaderboard
from redpop_assets.cli.materialize import materialize
from redpop_assets.cli.people import forget, new_author_key
from redpop_assets.cli.predict import predict
from redpop_assets.cli.sql import sql
from redpop_assets.errors import RedPopError

app = typer.Typer(
    name="redpop",
    help="How popular will this image post be on Reddit, and why?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# In the order of the help.
app.command()(demo)
app.command()(materialize)
app.command()(analyse)
app.command(name="import")(import_posts)
app.command()(forget)
app.command()(new_author_key)
app.command()(export)
app.command()(predict)
app.command()(accept_drift)
app.command()(leaderboard)
app.command()(sql)
app.command()(doctor)
app.command()(dev)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(images.app, name="images")


def main() -> None:
    """Run a command; RedPop's own errors end it with their message and exit code 1."""
    try:
        app()
    except RedPopError as error:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)

"""`redpop`: the command line. A table of contents; what a command says and asks stands in the module of its topic."""

import gc
from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer
from typer.main import get_command

from redpop_assets.cli import images, sandbox
from redpop_assets.cli.analyse import analyse
from redpop_assets.cli.archives import import_posts
from redpop_assets.cli.demo import demo
from redpop_assets.cli.dev import dev
from redpop_assets.cli.doctor import doctor
from redpop_assets.cli.drift import accept_drift
from redpop_assets.cli.exports import export
from redpop_assets.cli.failures import Commands
from redpop_assets.cli.follow import follow
from redpop_assets.cli.leaderboard import leaderboard
from redpop_assets.cli.materialize import materialize
from redpop_assets.cli.move import move
from redpop_assets.cli.people import forget, new_author_key
from redpop_assets.cli.predict import predict
from redpop_assets.cli.sql import sql
from redpop_assets.cli.studio import studio

app = typer.Typer(
    name="redpop",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def redpop(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the stack of an error, for a report of it.")] = False,
) -> None:
    """How popular will this image post be on Reddit, and why?"""


# In the order of the help.
app.command()(demo)
app.command()(materialize)
app.command()(analyse)
app.command(name="import")(import_posts)
app.command()(forget)
app.command()(new_author_key)
app.command()(export)
app.command()(predict)
app.command()(follow)
app.command()(accept_drift)
app.command()(leaderboard)
app.command()(sql)
app.command()(doctor)
app.command()(move)
app.command()(studio)
app.command()(dev)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(images.app, name="images")


@cache
def _commands() -> Callable[[], None]:
    """All of them, put together once in a process."""
    return get_command(app)


def main() -> None:
    """Run a command.

    Most of what it makes are the modules that it imports, which stay: the collector of garbage walks through them at
    every ten thousandth object instead of at every 700th, which was a fifth of the time of importing the networks.
    """
    gc.set_threshold(10_000, 20)
    _commands()()

"""`redpop materialize`: communities brought up to date."""

from typing import Annotated

import typer

from redpop_assets.cli.arguments import Subreddits, chosen
from redpop_assets.cli.console import say
from redpop_assets.cli.failures import say_failed
from redpop_assets.cli.programs import compute_as_told


def materialize(
    subreddit: Subreddits = None,
    select: Annotated[
        str | None, typer.Option(help="Assets in Dagster's selection syntax, such as group:features. Default: all.")
    ] = None,
    harvest: Annotated[
        bool, typer.Option(help="Ask the source for posts; --no-harvest uses those that are there.")
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the stack of what failed.")] = False,
) -> None:
    """Bring communities up to date, as the nightly schedule does, and publish the result."""
    from redpop_assets.runs import materialize as run
    from redpop_assets.settings import load_settings

    settings = load_settings()
    compute_as_told(settings)
    outcomes = run(settings, chosen(settings, subreddit), select=select, harvest=harvest)
    for outcome in outcomes:
        if outcome.failures:
            say_failed(outcome.title, outcome, verbose=verbose)
        else:
            say(f"{outcome.title}: up to date (run {outcome.run_id[:8]})")
    if any(outcome.failures for outcome in outcomes):
        say("What was finished is kept; the same command goes on from there.")
        raise typer.Exit(1)
    say('Next: `redpop leaderboard`, `redpop sql "FROM marts.leaderboard"`, or `redpop dev` for the UI.')

"""`redpop leaderboard`: how the predictors compare."""

from typing import Annotated

import typer

from redpop_assets.cli.console import console
from redpop_assets.cli.published import published_rows
from redpop_assets.errors import WarehouseError


def leaderboard(
    early: Annotated[
        bool, typer.Option("--early", help="Those that follow a post, by age, and what its readings add.")
    ] = False,
) -> None:
    """The predictors on the test part of each community, from the published warehouse."""
    from redpop_assets.cli.pages.early import print_early_leaderboard
    from redpop_assets.cli.pages.leaderboard import print_leaderboard
    from redpop_assets.settings import load_settings

    table = "marts.early_leaderboard" if early else "marts.leaderboard"
    rows = published_rows(load_settings(), f"SELECT * FROM {table}")
    if not rows:
        raise WarehouseError("No predictor has been compared yet: run `redpop materialize`.")
    if early:
        print_early_leaderboard(rows, console())
    else:
        print_leaderboard(rows, console())

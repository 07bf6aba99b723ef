"""`redpop leaderboard`: how the predictors compare."""

from redpop_assets.cli.console import console
from redpop_assets.cli.published import published_rows
from redpop_assets.errors import WarehouseError


def leaderboard() -> None:
    """The predictors on the test part of each community, from the published warehouse."""
    from redpop_assets.cli.pages.leaderboard import print_leaderboard
    from redpop_assets.settings import load_settings

    rows = published_rows(load_settings(), "SELECT * FROM marts.leaderboard")
    if not rows:
        raise WarehouseError("No predictor has been compared yet: run `redpop materialize`.")
    print_leaderboard(rows, console())

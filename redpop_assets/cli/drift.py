"""`redpop accept-drift`: a person's word that features may look as they do."""

from typing import Annotated

import typer
from rich.markup import escape

from redpop_assets.cli.arguments import chosen
from redpop_assets.cli.console import say


def accept_drift(
    subreddit: Annotated[str, typer.Argument(help="The community.")],
    table: Annotated[str, typer.Argument(help="Table of features, such as image_features. Default: all of them.")] = "",
) -> None:
    """Agree that features look different from now on: the check `looks_as_before` compares with their present state."""
    from redpop_assets.features.registry import COMPARED
    from redpop_assets.refresh.drift import accept_drift, compared_table
    from redpop_assets.resources import deployed_encoders, open_warehouse
    from redpop_assets.settings import load_settings

    settings = load_settings()
    (name,) = chosen(settings, [subreddit])
    tables = [compared_table(table)] if table else sorted(COMPARED)
    accepted = accept_drift(open_warehouse(settings), name, deployed_encoders(settings), tables)
    for accepted_table, drifts in accepted.items():
        for drift in drifts:
            say(f"  {accepted_table}, {escape(drift.column)}: {escape('; '.join(drift.reasons))}")
    if accepted:
        say(
            f"Accepted for r/{name}: {', '.join(accepted)}. The next run, `redpop materialize`, has nothing to warn of."
        )
    else:
        say(f"Nothing to accept: {', '.join(tables) if table else 'all features'} of r/{name} look as before.")

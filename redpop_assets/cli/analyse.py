"""`redpop analyse`: what is computed on demand, and the tables that come of it."""

from typing import Annotated

import typer

from redpop_assets.cli.arguments import SANDBOX_PORT, chosen
from redpop_assets.cli.console import console, quoted, say
from redpop_assets.cli.failures import say_failed
from redpop_assets.cli.programs import compute_as_told


def analyse(
    subreddit: Annotated[str, typer.Argument(help="The community. Default: all with a training set.")] = "",
    predictor: Annotated[
        str, typer.Option(help="The predictor to take apart. Default: REDPOP_ANALYSED_PREDICTOR.")
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of an analysis, such as emap, or split_comparison, which trains all predictors four times; may "
            "be repeated. Default: all analyses."
        ),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="On the demo's home.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the stack of what failed.")] = False,
) -> None:
    """Audit and explain the predictors on the training sets that are there: tables in marts, figures in the home."""
    from redpop_assets.analyses.registry import ANALYSES
    from redpop_assets.assets.tables import asset_key
    from redpop_assets.cli.pages.analyses import print_analysis
    from redpop_assets.cli.published import published_rows
    from redpop_assets.demo.settings import demo_settings
    from redpop_assets.resources import open_figures
    from redpop_assets.runs import SPLITS
    from redpop_assets.runs import analyse as run
    from redpop_assets.settings import load_settings

    settings = demo_settings(SANDBOX_PORT) if demo else load_settings()
    compute_as_told(settings)
    (name,) = chosen(settings, [subreddit]) if subreddit else ("",)
    outcome = run(settings, subreddit=name, predictor=predictor, only=only or ())
    for analysis in (ANALYSES[wanted] for wanted in only or ANALYSES if wanted != SPLITS):
        if any(
            failure.step.startswith(asset_key(analysis.table).to_python_identifier()) for failure in outcome.failures
        ):
            continue
        where = f"WHERE subreddit = '{name}'" if name else ""
        rows = published_rows(settings, f"FROM {analysis.read_from} {where} ORDER BY {analysis.order}")
        print_analysis(analysis, rows, console())
    if SPLITS in (only or ()) and not outcome.failures:
        say(f"What each split makes of the predictors: `redpop sql -f warehouse/queries/{SPLITS}.sql`")
    if outcome.failures:
        say_failed("analyse", outcome, verbose=verbose)
        raise typer.Exit(1)
    say("In brackets: 95 % intervals, mostly by resampling authors; the columns of a table say which.")
    figures, published = open_figures(settings).place.where, settings.home / "redpop.duckdb"
    say(f"The figures: {quoted(figures)}. What each table answers: {quoted(str(published))}, schema marts.")

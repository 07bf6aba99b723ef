"""Running the graph from the command line, inside this process: recorded in the instance that the UI shows."""

import warnings
from collections.abc import Sequence
from functools import partial

import dagster as dg
from dagster import AssetSelection

from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.assets.imported import import_events, materializations_told
from redpop_assets.assets.tables import asset_key
from redpop_assets.automation import ANALYSE, KEPT_FRESH, ON_DEMAND
from redpop_assets.definitions import build_defs
from redpop_assets.errors import RedPopError, SettingsError
from redpop_assets.instance import events_at_once, open_instance
from redpop_assets.resources import open_images, open_warehouse
from redpop_assets.rounds import Failure, RunOutcome, execute, failures_of, go_round, made_from, raise_if_interrupted
from redpop_assets.run_owners import end_dead_runs, owning
from redpop_assets.settings import Settings
from redpop_assets.terminal import terminal_logger

SPLITS = "split_comparison"
"""The comparison that trains every predictor under every split: with the analyses only if it is asked for by name."""


def materialize(
    settings: Settings, subreddits: Sequence[str], *, select: str | None = None, harvest: bool = True
) -> list[RunOutcome]:
    """Bring subreddits up to date.

    See `rounds.go_round` for the order, and for what is returned.

    Args:
        settings: the deployment.
        subreddits: partitions, in lower case.
        select: assets in Dagster's selection syntax, such as `group:features` or `key:"core/posts"+`; None for all.
            What is computed on demand never is part of it.
        harvest: whether the raw layer, and so Reddit, is part of it.

    Raises:
        SettingsError: the selection is empty or is no selection.
    """
    defs = build_defs(settings)
    keys = selected_keys(defs, select, harvest)
    with open_instance(settings) as instance:
        tags = {"redpop/source": settings.source}
        inputs = None if select else partial(made_from, settings)
        return go_round(defs, instance, subreddits, keys, tags=tags, inputs=inputs)


def analyse(settings: Settings, *, subreddit: str, predictor: str, only: Sequence[str]) -> RunOutcome:
    """Compute what is computed on demand, and publish what succeeded, in a run each.

    Args:
        settings: the deployment.
        subreddit: a community in lower case; empty for all that have a training set.
        predictor: the one that analyses of a single predictor take apart; empty for that of the settings.
        only: names of analyses, or `SPLITS`; empty for all analyses.

    Raises:
        SettingsError: there is no such analysis.
    """
    tables = {name: analysis.table for name, analysis in ANALYSES.items()} | {SPLITS: f"marts.{SPLITS}"}
    if unknown := sorted(set(only) - set(tables)):
        raise SettingsError(f"There is no analysis {unknown[0]!r}; there are {', '.join(tables)}.")
    defs = build_defs(settings)
    keys = [asset_key(tables[name]) for name in only or ANALYSES]
    asked = {"config": {"subreddit": subreddit, "predictor": predictor}}
    ops = {key.to_python_identifier(): asked for key in keys}
    with open_instance(settings) as instance:
        end_dead_runs(instance)
        with owning(instance) as owner:
            result = defs.resolve_job_def(ANALYSE).execute_in_process(
                instance=instance,
                asset_selection=keys,
                run_config={"loggers": {"terminal": {}}, "ops": ops},
                raise_on_error=False,
                tags={**owner, "redpop/source": settings.source},
            )
        raise_if_interrupted(result.all_events)
        failures = failures_of(result.all_events)
        if result.get_asset_materialization_events():
            published = [asset_key("marts.published_warehouse")]
            tags = {"redpop/source": settings.source}
            failures += failures_of(execute(defs, instance, None, published, tags=tags).all_events)
    return RunOutcome(subreddit, result.run_id, tuple(failures))


def report_import(settings: Settings, subreddits: Sequence[str], file: str) -> None:
    """Tell Dagster of the raw tables as an import left them, so that the UI shows it and automation sees new data.

    One run for all communities: a table of posts may have a thousand, with a few posts each.

    Args:
        settings: the deployment.
        subreddits: partitions, in lower case.
        file: what was imported.

    Raises:
        RedPopError: a check of the raw tables failed.
        KeyboardInterrupt: it was interrupted; what was told already stays.
    """
    events = import_events(settings, open_warehouse(settings), open_images(settings), subreddits, file)
    failed: list[Failure] = []

    @dg.op(out=dg.Out(dg.Nothing))
    def tables(context: dg.OpExecutionContext) -> None:
        for event in events.tables:
            context.log_event(event)

    @dg.op(ins={"told": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def checks(context: dg.OpExecutionContext) -> None:
        told = {table: materializations_told(context, table, subreddits) for table in events.offences}
        for event in events.checks(told):
            context.log_event(event)  # type: ignore[arg-type]  # it takes checks as well, whatever its types say
            if event.blocking and not event.passed:
                table = event.asset_key.to_user_string()
                of = "" if event.partition is None else f" for r/{event.partition}"
                failed.append(Failure(table, f"check {event.check_name} failed{of}"))

    @dg.job(name="import_posts", logger_defs={"terminal": terminal_logger})
    def tell_all() -> None:
        checks(tables())

    with open_instance(settings) as instance, events_at_once(instance), owning(instance) as owner:
        result = tell_all.execute_in_process(
            instance=instance,
            run_config={"loggers": {"terminal": {}}},
            raise_on_error=False,
            tags={**owner, "redpop/source": settings.source, "redpop/import": file},
        )
    raise_if_interrupted(result.all_events)
    failed += failures_of(result.all_events)
    if failed:
        raise RedPopError("The import is stored, but:\n" + "\n".join(map(str, failed)))


def selected_keys(defs: dg.Definitions, select: str | None, harvest: bool) -> list[dg.AssetKey]:
    """The assets that a selection means, without those computed on demand; without a selection, all the others.

    Raises:
        SettingsError: the selection is empty or is no selection.
    """
    graph = defs.resolve_asset_graph()
    try:
        with warnings.catch_warnings():
            # Dagster warns of a parameter that its own parser passes on.
            warnings.simplefilter("ignore", dg.BetaWarning)
            selection = AssetSelection.from_string(select) if select else KEPT_FRESH
    except Exception as error:
        raise SettingsError(
            f"--select {select!r} is no asset selection ({error}). Examples: group:features, "
            'key:"core/labels"+, tag:..., or leave it out for everything.'
        ) from error
    if not harvest:
        selection = selection - AssetSelection.groups("raw")
    asked = selection.resolve(graph)
    chosen = asked - ON_DEMAND.resolve(graph)
    if asked and not chosen:
        raise SettingsError(f"--select {select!r} chooses what is computed on demand only: use `redpop analyse`.")
    # Tables that are written together cannot be asked for alone.
    keys = {sibling for key in chosen for sibling in graph.get(key).execution_set_asset_keys}
    if not keys:
        known = ", ".join(sorted(key.to_user_string() for key in graph.get_all_asset_keys()))
        raise SettingsError(f"--select {select!r} chooses no asset. The assets: {known}.")
    return sorted(keys)

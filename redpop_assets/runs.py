"""Running the graph from the command line: the Dagster instance of a home directory, and runs inside this process.

A run is recorded in the same instance that the UI shows. Inside one process its steps share what is expensive to load.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster import AssetSelection

from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.assets.imported import import_events, materializations_told
from redpop_assets.assets.tables import asset_key
from redpop_assets.automation import ANALYSE, KEPT_FRESH, ON_DEMAND, REFRESH
from redpop_assets.definitions import build_defs
from redpop_assets.errors import RedPopError, SettingsError
from redpop_assets.instance import end_dead_runs, events_at_once, open_instance, tags_of_this_process
from redpop_assets.phases import in_phases
from redpop_assets.resources import open_images, open_warehouse
from redpop_assets.settings import Settings
from redpop_assets.terminal import terminal_logger

SPLITS = "split_comparison"
"""The comparison that trains every predictor under every split: with the analyses only if it is asked for by name."""

_INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")


@dataclass(frozen=True)
class Failure:
    """A step that failed: what went wrong in one sentence, and where, which is empty for RedPop's own errors."""

    step: str
    message: str
    stack: str = ""

    def __str__(self) -> str:
        return f"{self.step}: {self.message}"


@dataclass(frozen=True)
class RunOutcome:
    """How the last run of a subreddit ended: its id, and the steps that failed."""

    subreddit: str
    run_id: str
    failures: tuple[Failure, ...]


def materialize(
    settings: Settings, subreddits: Sequence[str], *, select: str | None = None, harvest: bool = True
) -> list[RunOutcome]:
    """Bring subreddits up to date.

    Several go through the phases of `redpop_assets.phases` together, in a run each. Where the run of one phase failed,
    there is no next one for that subreddit.

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
    outcomes: dict[str, RunOutcome] = {}
    with open_instance(settings) as instance:
        for part in in_phases(keys, subreddits):
            for subreddit in subreddits:
                if subreddit in outcomes and outcomes[subreddit].failures:
                    continue
                result = execute(defs, instance, subreddit, part, tags={"redpop/source": settings.source})
                outcomes[subreddit] = RunOutcome(subreddit, result.run_id, tuple(failures_of(result.all_events)))
    return list(outcomes.values())


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
        result = defs.resolve_job_def(ANALYSE).execute_in_process(
            instance=instance,
            asset_selection=keys,
            run_config={"loggers": {"terminal": {}}, "ops": ops},
            raise_on_error=False,
            tags={**tags_of_this_process(), "redpop/source": settings.source},
        )
        raise_if_interrupted(result.all_events)
        failures = failures_of(result.all_events)
        if result.get_asset_materialization_events():
            published = [asset_key("marts.published_warehouse")]
            tags = {"redpop/source": settings.source}
            failures += failures_of(execute(defs, instance, settings.partitions[0], published, tags=tags).all_events)
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
                failed.append(Failure(table, f"check {event.check_name} failed for r/{event.partition}"))

    @dg.job(name="import_posts", logger_defs={"terminal": terminal_logger})
    def tell_all() -> None:
        checks(tables())

    with open_instance(settings) as instance, events_at_once(instance):
        result = tell_all.execute_in_process(
            instance=instance,
            run_config={"loggers": {"terminal": {}}},
            raise_on_error=False,
            tags={**tags_of_this_process(), "redpop/source": settings.source, "redpop/import": file},
        )
    raise_if_interrupted(result.all_events)
    failed += failures_of(result.all_events)
    if failed:
        raise RedPopError("The import is stored, but:\n" + "\n".join(map(str, failed)))


def execute(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    subreddit: str,
    keys: Sequence[dg.AssetKey],
    *,
    tags: dict[str, str],
    config: dict[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run assets of one subreddit in this process; a failed step is part of the result, Ctrl-C is not.

    Args:
        defs: the platform.
        instance: where the run is recorded.
        subreddit: partition, in lower case.
        keys: the assets.
        tags: of the run.
        config: run configuration, as in Dagster's launchpad.

    Raises:
        KeyboardInterrupt: it was interrupted; the run is recorded as failed.
    """
    end_dead_runs(instance)
    result = defs.resolve_job_def(REFRESH).execute_in_process(
        instance=instance,
        partition_key=subreddit,
        asset_selection=list(keys),
        run_config={"loggers": {"terminal": {}}, **(config or {})},
        raise_on_error=False,
        tags={**tags_of_this_process(), **tags},
    )
    raise_if_interrupted(result.all_events)
    return result


def raise_if_interrupted(events: Iterable[dg.DagsterEvent]) -> None:
    """Say so if a run was interrupted: for Dagster that is one more way to fail.

    Raises:
        KeyboardInterrupt: it was.
    """
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
        elif event.is_job_failure:
            error = event.job_failure_data.error
        else:
            continue
        while error is not None:
            if error.cls_name in _INTERRUPTIONS:
                raise KeyboardInterrupt
            error = error.cause


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


def failures_of(events: Iterable[dg.DagsterEvent]) -> list[Failure]:
    """What went wrong in each failed step: RedPop's own message if that stopped it, else the type and message."""
    failures = []
    for event in events:
        if not event.is_step_failure:
            continue
        error = event.step_failure_data.error
        step = event.step_key or "run"
        # From what Dagster says of the step inwards, to what the error was raised from.
        chain = []
        link = error
        while link is not None:
            chain.append(link)
            link = link.cause
        ours = next((one for one in chain if one.message.startswith("redpop_assets.errors.")), None)
        if ours is not None:
            failures.append(Failure(step, ours.message.partition(": ")[2].strip()))
        elif error is not None:
            failures.append(Failure(step, " ".join(chain[-1].message.split()), error.to_string()))
        else:
            failures.append(Failure(step, event.message or "failed"))
    return failures

"""The rounds that schedules start: a run that brings every community up to date in its own process.

It starts runs inside of itself, one for each community and phase, so that all of them pay once for a process and its
imports, and share one login and one budget of requests.
"""

from collections.abc import Callable
from functools import partial

import dagster as dg
from pydantic import Field

from redpop_assets.automation import DISCOVER, HARVESTED, KEPT_FRESH, NIGHT
from redpop_assets.settings import Settings
from redpop_assets.shown import visible


class Communities(dg.Config):
    """For whom a round goes."""

    subreddits: list[str] = Field(default=[], description="Communities in lower case; empty: all of the settings.")


def build_rounds(settings: Settings, platform: Callable[[], dg.Definitions]) -> list[dg.JobDefinition]:
    """The nightly refresh and the hourly harvest.

    Args:
        settings: the deployment.
        platform: gives the definitions that these jobs will be part of, when they run.
    """
    return [
        _round(
            NIGHT,
            KEPT_FRESH,
            "Bring every subreddit up to date: harvest, re-observe, recompute what changed; then marts, and publish. "
            "What fails for one does not hold up the others.",
            settings,
            platform,
        ),
        _round(
            DISCOVER,
            HARVESTED,
            "Read what is due of every subreddit: its listings, so that no post of a busy hour is missed, and the "
            "scores of young posts; and forget what is gone.",
            settings,
            platform,
        ),
    ]


def _round(
    name: str,
    selection: dg.AssetSelection,
    description: str,
    settings: Settings,
    platform: Callable[[], dg.Definitions],
) -> dg.JobDefinition:
    # Two nights at once would do everything twice: the pool lets the second one wait.
    @dg.op(name=f"{name}_of_all", out=dg.Out(dg.Nothing), required_resource_keys={"source"}, pool=name)
    def all_communities(context: dg.OpExecutionContext, config: Communities) -> None:
        # Who only loads the definitions does without the storages of Dagster's history.
        from redpop_assets.rounds import go_round, made_from

        defs = platform()
        keys = sorted(selection.resolve(defs.resolve_asset_graph()))
        if unknown := sorted(set(config.subreddits) - set(settings.partitions)):
            raise dg.Failure(f"Not in REDPOP_SUBREDDITS: {', '.join(unknown)}.", allow_retries=False)
        tags = {"redpop/source": settings.source, "redpop/round": context.run_id}
        with context.resources.source.clients.shared():
            outcomes = go_round(
                defs,
                context.instance,
                config.subreddits or settings.partitions,
                keys,
                tags=tags,
                inputs=partial(made_from, settings),
            )
        for outcome in outcomes:
            said = "; ".join(map(str, outcome.failures)) or "up to date"
            tell = context.log.error if outcome.failures else context.log.info
            tell(visible(f"{outcome.title}: {said} (run {outcome.run_id})"))
        if failed := [outcome.title for outcome in outcomes if outcome.failures]:
            raise dg.Failure(f"Not up to date: {', '.join(failed)}. The log says why.", allow_retries=False)

    @dg.job(name=name, description=description, executor_def=dg.in_process_executor)
    def job() -> None:
        all_communities()

    return job

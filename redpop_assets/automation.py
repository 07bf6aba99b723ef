"""When the graph refreshes itself: automation conditions, jobs, schedules and the automation sensor.

What an asset does belongs into assets/; here stands only when it is asked to.
"""

from typing import Any

import dagster as dg

from redpop_assets.settings import Settings

# An update that falls into the same tick as the child's own request is lost by design of `since_last_handled`; the
# nightly job runs the whole graph and so repairs what the conditions may have missed.
_CHANGED: dg.AutomationCondition[Any] = (
    dg.AutomationCondition.newly_missing()
    | dg.AutomationCondition.code_version_changed()
    | dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    )
)

ON_NEW_DATA = (
    _CHANGED.since_last_handled()
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("on_new_data")
"""A partition of a table whose inputs have other rows, or whose code changed. Equal rows request nothing."""

ON_NEW_DATA_FROM_ANY = (
    _CHANGED.since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("on_new_data_from_any")
"""The same for the marts, which pool all communities and must not wait for one that is banned or new."""


def on_new_training_data(nightly_cron: str) -> dg.AutomationCondition[Any]:
    """The condition of the training set: new data, but at most once between two nightly refreshes.

    Posts reach the label age at any hour. If every one of them led to a new training set, all predictors of a busy
    subreddit would learn again after each hourly harvest, for a handful of labels. The nightly refresh trains on
    whatever the day brought; this condition stands in where it has not run, as in a new deployment.
    """
    trained_since_last_night = dg.AutomationCondition.newly_updated().since(
        dg.AutomationCondition.cron_tick_passed(nightly_cron, cron_timezone="UTC")
    )
    return (ON_NEW_DATA & ~trained_since_last_night).with_label("on_new_training_data")


REFRESH = "refresh"
DISCOVER = "discover"
ANALYSE = "analyse"

ON_DEMAND_TAGS = {"redpop/refresh": "on_demand"}
"""Tags of the assets that are computed when somebody asks for them, and neither nightly nor by a condition."""

ON_DEMAND = dg.AssetSelection.tag("redpop/refresh", ON_DEMAND_TAGS["redpop/refresh"])
KEPT_FRESH = dg.AssetSelection.all() - ON_DEMAND


def build_jobs() -> list[Any]:  # the type of an asset job has no public name
    """The nightly refresh, the hourly harvest of what is due, and the analyses that people ask for."""
    return [
        dg.define_asset_job(
            REFRESH,
            selection=KEPT_FRESH,
            description="Bring one subreddit up to date: harvest, re-observe, recompute what changed, publish.",
        ),
        dg.define_asset_job(
            DISCOVER,
            selection=dg.AssetSelection.groups("raw"),
            config={"ops": {"harvest": {"config": {"due_only": True}}}},
            description=(
                "Read what is due of one subreddit: its listings, so that no post of a busy hour is missed, and the "
                "scores of young posts."
            ),
        ),
        dg.define_asset_job(
            ANALYSE,
            selection=ON_DEMAND,
            description="Audit and explain the predictors on the training sets that are there, as `redpop analyse`, "
            "and compare splits, as with `--only split_comparison`.",
        ),
    ]


def _requests(settings: Settings, context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    if settings.missing_credentials:
        return dg.SkipReason(
            f"{', '.join(settings.missing_credentials)} not set: `redpop doctor` says how to get and set them."
        )
    tick = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"
    return [
        dg.RunRequest(run_key=f"{tick}:{name}", partition_key=name, tags={"redpop/source": settings.source})
        for name in settings.partitions
    ]


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Both schedules run as soon as there are credentials; until then each tick is skipped with that reason."""

    @dg.schedule(
        job_name=REFRESH,
        cron_schedule=settings.nightly_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly_refresh(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        """Bring every community up to date, one run per subreddit."""
        return _requests(settings, context)

    @dg.schedule(
        job_name=DISCOVER,
        cron_schedule=settings.discovery_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def hourly_discovery(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        """Read what is due of every community, one run per subreddit."""
        return _requests(settings, context)

    return [nightly_refresh, hourly_discovery]


def build_sensors() -> list[dg.SensorDefinition]:
    """The sensor that evaluates the conditions; Dagster's own is stopped by default."""
    return [
        dg.AutomationConditionSensorDefinition(
            "automation",
            target=dg.AssetSelection.all(),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Requests what has new inputs.",
        )
    ]

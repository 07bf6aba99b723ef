"""When the graph refreshes itself: automation conditions, jobs, schedules and the automation sensor.

What an asset does belongs into assets/; here stands only when it is asked to.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from redpop_assets.errors import SettingsError
from redpop_assets.phases import PHASES, POSTS, REST, Phase
from redpop_assets.resources import logins_of
from redpop_assets.settings import Settings
from redpop_assets.sources.services import ARCTIC_SHIFT, REDDIT

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


def check_crons(settings: Settings) -> None:
    """See that the times of the schedules are some.

    Raises:
        SettingsError: one is no cron expression; the message names it.
    """
    for variable, cron in (
        ("REDPOP_NIGHTLY_CRON", settings.nightly_cron),
        ("REDPOP_DISCOVERY_CRON", settings.discovery_cron),
    ):
        try:
            dg.AutomationCondition.cron_tick_passed(cron, cron_timezone="UTC")
        except Exception as error:
            raise SettingsError(
                f"{variable} is {cron!r}, which is no time: write minute, hour, day, month and weekday, such as "
                "`0 3 * * *` for every night at three (UTC)."
            ) from error


REFRESH = "refresh"
REFRESH_OF = {phase: f"refresh_{phase.name}" for phase in PHASES}
"""Phase -> the job that brings this part of a community up to date."""

NIGHT, PHASE = "redpop/night", "redpop/phase"
"""Tags of the runs of a night: when it began, and which phase of it they are."""

DISCOVER = "discover"
ANALYSE = "analyse"

_LONGEST_NIGHT = timedelta(hours=23)

ON_DEMAND_TAGS = {"redpop/refresh": "on_demand"}
"""Tags of the assets that are computed when somebody asks for them, and neither nightly nor by a condition."""

ON_DEMAND = dg.AssetSelection.tag("redpop/refresh", ON_DEMAND_TAGS["redpop/refresh"])
KEPT_FRESH = dg.AssetSelection.all() - ON_DEMAND


def build_jobs() -> list[Any]:  # the type of an asset job has no public name
    """The refresh, whole and by phases, the hourly harvest of what is due, and the analyses that people ask for."""
    return [
        dg.define_asset_job(
            REFRESH,
            selection=KEPT_FRESH,
            description="Bring one subreddit up to date: harvest, re-observe, recompute what changed, publish.",
        ),
        *(
            dg.define_asset_job(
                name,
                selection=KEPT_FRESH & phase.selection,
                description=f"The layers {', '.join(phase.layers)} of one subreddit. A night has the posts of all of "
                "them before it begins with what is made of posts.",
            )
            for phase, name in REFRESH_OF.items()
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


def _requests(
    settings: Settings, context: dg.ScheduleEvaluationContext, phase: Phase | None = None
) -> list[dg.RunRequest] | dg.SkipReason:
    if settings.missing_credentials:
        return dg.SkipReason(
            f"{', '.join(settings.missing_credentials)} not set: `redpop doctor` says how to get and set them, and how "
            f"to go without (REDPOP_SOURCE={ARCTIC_SHIFT})."
        )
    login = logins_of(settings).last()
    if settings.source_name.kind == REDDIT and login.is_resting(datetime.now(UTC)):
        return dg.SkipReason(f"{login.told()} It is tried again from {login.next_attempt:%Y-%m-%d %H:%M} UTC on.")
    tick = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"
    tags = {"redpop/source": settings.source, **({} if phase is None else {NIGHT: tick, PHASE: phase.name})}
    return [dg.RunRequest(run_key=f"{tick}:{name}", partition_key=name, tags=tags) for name in settings.partitions]


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Both schedules run as soon as there are credentials; until then each tick is skipped with that reason.

    So it is for some hours after Reddit has refused a key; then it is tried again, and they go on when it works.
    """

    @dg.schedule(
        job_name=REFRESH_OF[POSTS],
        cron_schedule=settings.nightly_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly_refresh(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        """Bring the posts of every community up to date, a run per subreddit; the sensor `night` goes on with them."""
        return _requests(settings, context, POSTS)

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


@dg.sensor(
    job_name=REFRESH_OF[REST],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Goes on with a night when the posts of all communities are there; not with those that failed.",
)
def night(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Request the second phase of the latest night, once the first one has ended for every community."""
    first = context.instance.get_runs(
        dg.RunsFilter(tags={PHASE: POSTS.name}, created_after=datetime.now(UTC) - _LONGEST_NIGHT)
    )
    if not first:
        return dg.SkipReason("No night has begun.")
    latest = max(run.tags[NIGHT] for run in first)
    runs = [run for run in first if run.tags[NIGHT] == latest]
    if waiting := sorted(_community(run) for run in runs if not run.is_finished):
        return dg.SkipReason(f"The night of {latest} still reads the posts of {', '.join(waiting)}.")
    there = sorted({_community(run) for run in runs if run.is_success})
    return [
        dg.RunRequest(
            run_key=f"{latest}:{REST.name}:{name}",
            partition_key=name,
            tags={
                "redpop/source": next(run.tags["redpop/source"] for run in runs),
                NIGHT: latest,
                PHASE: REST.name,
            },
        )
        for name in there
    ]


def _community(run: dg.DagsterRun) -> str:
    return str(run.tags["dagster/partition"])


def build_sensors() -> list[dg.SensorDefinition]:
    """What goes on with a night, and what evaluates the conditions; Dagster's own sensor is stopped by default."""
    return [
        night,
        dg.AutomationConditionSensorDefinition(
            "automation",
            target=dg.AssetSelection.all(),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Requests what has new inputs.",
        ),
    ]

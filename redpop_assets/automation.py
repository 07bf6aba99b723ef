"""When the graph refreshes itself: automation conditions, jobs, schedules and the automation sensor.

What an asset does belongs into assets/; here stands only when it is asked to.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from redpop_assets.checks import LOOKS_AS_BEFORE
from redpop_assets.errors import SettingsError
from redpop_assets.partitions import TOGETHER as TABLES_OF_ALL
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


def on_own_training_data(of_everybody: dg.AssetKey) -> dg.AutomationCondition[Any]:
    """The condition of predictors that borrow: a new training set of their own community, not one of any other.

    All communities have new training sets every night. If each of them led to a look at every community, a night of a
    hundred would start ten thousand; and what others learn later is nothing that one may learn from before its own
    training set is another one (`redpop_assets.refresh.lending`). The next night finds a community that came later.

    Args:
        of_everybody: the training sets, which are written together with the columns that they offer.
    """
    theirs = dg.AssetSelection.assets(of_everybody)
    changed: dg.AutomationCondition[Any] = (
        dg.AutomationCondition.newly_missing()
        | dg.AutomationCondition.code_version_changed()
        | dg.AutomationCondition.any_deps_match(
            dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
        ).ignore(theirs)
    )
    return (
        changed.since_last_handled()
        & ~dg.AutomationCondition.any_deps_missing().ignore(theirs)
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    ).with_label("on_own_training_data")


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
TOGETHER = "refresh_together"
NIGHT = "night"
DISCOVER = "discover"
ANALYSE = "analyse"

ON_DEMAND_TAGS = {"redpop/refresh": "on_demand"}
"""Tags of the assets that are computed when somebody asks for them, and neither nightly nor by a condition."""

ON_DEMAND = dg.AssetSelection.tag("redpop/refresh", ON_DEMAND_TAGS["redpop/refresh"])
KEPT_FRESH = dg.AssetSelection.all() - ON_DEMAND
HARVESTED = dg.AssetSelection.groups("raw")
OF_ALL = dg.AssetSelection.assets(*(table.split(".") for table in sorted(TABLES_OF_ALL))) | (
    dg.AssetSelection.groups("marts") - ON_DEMAND
)
"""What is made of all communities at once."""


def build_jobs() -> list[Any]:  # the type of an asset job has no public name
    """The refresh of one community, of what is made of all of them, and the analyses that people ask for."""
    return [
        dg.define_asset_job(
            REFRESH,
            selection=KEPT_FRESH,
            description="Bring one subreddit up to date: harvest, re-observe, recompute what changed, publish.",
        ),
        dg.define_asset_job(
            TOGETHER,
            selection=OF_ALL,
            description="Bring up to date what is made of all subreddits: what was forgotten, groups of pictures, "
            "predictions, leaderboard, the published file.",
        ),
        dg.define_asset_job(
            ANALYSE,
            selection=ON_DEMAND,
            description="Audit and explain the predictors on the training sets that are there, as `redpop analyse`, "
            "and compare splits, as with `--only split_comparison`.",
        ),
    ]


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """How the steps of a run are executed: one after the other in the process of the run, or in processes of their own.

    To start a process and to import what steps need costs more than most steps do.
    """
    if settings.step_processes == 0:
        return dg.in_process_executor
    return dg.multiprocess_executor.configured(
        {
            "max_concurrent": settings.step_processes,
            "start_method": {"forkserver": {"preload_modules": ["redpop_assets.definitions"]}},
        }
    )


def _request(settings: Settings, context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    if settings.missing_credentials:
        return dg.SkipReason(
            f"{', '.join(settings.missing_credentials)} not set: `redpop doctor` says how to get and set them, and how "
            f"to go without (REDPOP_SOURCE={ARCTIC_SHIFT})."
        )
    login = logins_of(settings).last()
    if settings.source_name.kind == REDDIT and login.is_resting(datetime.now(UTC)):
        return dg.SkipReason(f"{login.told()} It is tried again from {login.next_attempt:%Y-%m-%d %H:%M} UTC on.")
    tick = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"
    return dg.RunRequest(run_key=tick, tags={"redpop/source": settings.source})


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Both schedules run as soon as there are credentials; until then each tick is skipped with that reason.

    So it is for some hours after Reddit has refused a key; then it is tried again, and they go on when it works.
    """

    @dg.schedule(
        job_name=NIGHT,
        cron_schedule=settings.nightly_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Bring every community up to date, in one run that starts one for each."""
        return _request(settings, context)

    @dg.schedule(
        job_name=DISCOVER,
        cron_schedule=settings.discovery_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def hourly_discovery(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Read what is due of every community, in one run that starts one for each."""
        return _request(settings, context)

    return [nightly_refresh, hourly_discovery]


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """What evaluates the conditions, as Dagster's own sensor is stopped by default; and what tells people, if set."""
    conditions = dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests what has new inputs.",
    )
    return [conditions, _announcements(settings)] if settings.webhooks else [conditions]


def _announcements(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
    def announcements(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """Tell the webhooks of failed nights and harvests, stale communities, drift and new champions, once each."""
        from redpop_assets.announcements import Told, Watch, news

        graph = context.repository_def.asset_graph if context.repository_def else None
        checks = sorted(graph.asset_check_keys) if graph else []
        watch = Watch(
            rounds={NIGHT: "night_failed", DISCOVER: "harvest_failed"},
            communities=settings.partitions,
            stale_after=timedelta(hours=settings.stale_hours),
            drift_checks=[check for check in checks if check.name == LOOKS_AS_BEFORE],
        )
        now, told = datetime.now(UTC), Told(context.cursor)
        found = news(context.instance, watch, now)
        taken = told.tell(settings.webhooks, found, now)
        context.update_cursor(told.cursor(now))
        return dg.SkipReason(f"{taken} told" if taken else "Nothing new to tell.")

    return announcements

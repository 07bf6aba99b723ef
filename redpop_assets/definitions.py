"""The code location `redpop`: a table of contents of the platform, and the only module that Dagster loads."""

import dagster as dg

from redpop_assets.assets.analyses import analysis_assets
from redpop_assets.assets.core import core_assets
from redpop_assets.assets.features import feature_assets
from redpop_assets.assets.marts import mart_assets
from redpop_assets.assets.models import model_assets
from redpop_assets.assets.raw import raw_assets
from redpop_assets.assets.tables import TableAssets
from redpop_assets.automation import build_executor, build_jobs, build_schedules, build_sensors, check_crons
from redpop_assets.nights import build_rounds
from redpop_assets.partitions import subreddit_partitions
from redpop_assets.resources import build_resources
from redpop_assets.settings import Settings, load_settings
from redpop_assets.storage.schema import load_schema
from redpop_assets.terminal import terminal_logger


def build_defs(settings: Settings) -> dg.Definitions:
    """Assemble the platform for one deployment; tests call it with settings of their own."""
    check_crons(settings)
    tables = TableAssets(settings, load_schema(), subreddit_partitions(settings))
    platform = dg.Definitions(
        assets=[
            *raw_assets(tables),
            *core_assets(tables),
            *feature_assets(tables),
            *model_assets(tables),
            *mart_assets(tables),
            *analysis_assets(tables),
        ],
        jobs=[*build_jobs(), *build_rounds(settings, lambda: platform)],
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        resources=build_resources(settings),
        loggers={"terminal": terminal_logger},
        executor=build_executor(settings),
    )
    return platform


@dg.definitions
def defs() -> dg.Definitions:
    """The platform of this deployment, as the environment describes it."""
    return build_defs(load_settings())

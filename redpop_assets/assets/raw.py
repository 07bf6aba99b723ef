"""Layer raw: what Reddit said, as it said it. Reading and appending only; judging the posts belongs into core."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from redpop_assets.assets.tables import TableAssets
from redpop_assets.errors import RedditBusy, RedPopError
from redpop_assets.resources import RedditResource
from redpop_assets.settings import Settings
from redpop_assets.storage.warehouse import Warehouse

_TABLES = ("raw.submissions", "raw.sightings", "raw.observations")


class HarvestConfig(dg.Config):
    """What one harvest reads."""

    listings: list[str] = Field(
        default=[], description="Listings such as new or top/week; empty: those of the settings."
    )
    reobserve: bool = Field(default=True, description="Whether known posts below the label age are read again.")
    ask_reddit: bool = Field(default=True, description="Whether Reddit is read at all; no after an import of a file.")


def raw_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The harvest, which fills the three raw tables in one pass over the API."""
    settings = tables.settings

    @dg.multi_asset(
        name="harvest",
        **tables.multi_asset(_TABLES, code_version="1"),
        partitions_def=tables.partitions,
        pool="reddit",
        retry_policy=dg.RetryPolicy(
            max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
        ),
    )
    def harvest(
        context: dg.AssetExecutionContext,
        config: HarvestConfig,
        warehouse: dg.ResourceParam[Warehouse],
        reddit: RedditResource,
    ) -> Iterator[dg.MaterializeResult]:
        """Read the listings of one subreddit, then the scores of its known posts that are below the label age.

        One row per post in raw.submissions, per place it was found in raw.sightings, per reading in raw.observations.
        Every listing is written when it has been read: what was read before an error or a kill is kept.
        """

        subreddit = context.partition_key
        new: dict[str, dict[str, int]] = {}
        if config.ask_reddit:
            new = _harvest(context, config, warehouse, reddit, settings)
        for table in _TABLES:
            yield tables.materialized(warehouse, table, subreddit, **new.get(table, {}))

    return [harvest]


def _harvest(
    context: dg.AssetExecutionContext,
    config: HarvestConfig,
    warehouse: Warehouse,
    reddit: RedditResource,
    settings: Settings,
) -> dict[str, dict[str, int]]:
    """Read Reddit as the configuration says; returns for each table what was new."""
    from redpop_assets.reddit.harvest import Harvest
    from redpop_assets.reddit.listings import Listing
    from redpop_assets.reddit.records import AuthorKey

    key = AuthorKey.load_or_create(settings.home / "author.key")
    try:
        run = Harvest(context.partition_key, reddit.connect(), warehouse, key)
        for listing in config.listings or settings.listings:
            counts = run.read_listing(Listing.parse(listing), depth=settings.listing_depth)
            context.log.info(f"{listing}: {counts.submissions} posts, {counts.new} new")
        if config.reobserve:
            observed = run.reobserve(label_age=settings.label_age, give_up=settings.give_up)
            context.log.info(f"re-observed {observed} posts below the label age")
    except RedditBusy:
        raise
    except RedPopError as error:
        # Missing credentials or a banned community are the same a minute later.
        raise dg.Failure(str(error), allow_retries=False) from error
    context.log.info(f"{run.new_submissions} new posts, {run.requests_made} requests")
    return {
        "raw.submissions": {"new_posts": run.new_submissions, "api_requests": run.requests_made},
        "raw.sightings": {"new_sightings": run.new_sightings},
        "raw.observations": {"new_observations": run.new_observations},
    }

"""Layer raw: what the source said, as it said it. Reading and appending only; judging the posts belongs into core."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from redpop_assets import markdown, versions
from redpop_assets.assets.tables import AssetPlan, Metadata, TableAssets, Work
from redpop_assets.checks import FileCheck
from redpop_assets.errors import RedditBusy, RedPopError

if TYPE_CHECKING:
    from redpop_assets.sources.listings import ListingRead
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.warehouse import Warehouse

TABLES = (
    "raw.submissions",
    "raw.sightings",
    "raw.observations",
    "raw.presence",
    "raw.listing_reads",
    "raw.imports",
    "raw.communities",
    "raw.community_sizes",
)
"""What a harvest writes, all of it together."""

# The row of a younger file may still be on its way.
_SETTLED = timedelta(hours=1)


class HarvestConfig(dg.Config):
    """What one harvest reads."""

    listings: list[str] = Field(
        default=[],
        description="Listings to read whether they are due or not, such as new or top/week:300; empty: the harvest "
        "plan of the settings. Reddit's API only: Arctic Shift has none.",
    )
    due_only: bool = Field(default=True, description="Whether listings of the plan are read only when they are due.")
    reobserve: bool = Field(
        default=True, description="Whether known posts are asked for: maturing scores, and whether all still stand."
    )


def raw_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The harvest, which fills the raw tables in one pass; and forgetting, which empties all of them."""
    return [
        tables.asset(
            AssetPlan(
                name="harvest",
                together=True,
                code_versions=dict.fromkeys(TABLES, versions.HARVEST),
                resources=("warehouse", "source"),
                pool="reddit",
                config=HarvestConfig,
                retry_policy=dg.RetryPolicy(
                    max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
                ),
            ),
            harvest,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"raw.tombstones": versions.FORGETTING},
                deps={"raw.tombstones": ("raw.submissions", "raw.observations", "raw.presence")},
                partitioned=False,
                # Of all communities at once, and the hourly harvest and a night may end together.
                pool="tombstones",
                resources=("warehouse", "images"),
                file_checks=(no_stray_files(),),
            ),
            tombstones,
        ),
    ]


def harvest(work: Work) -> Mapping[str, Metadata]:
    """Read what is new of one subreddit, the scores that are due, and whether old posts still stand.

    From Reddit's API, or from Arctic Shift, whichever REDPOP_SOURCE names; what each can give is in docs/operate.md.

    One row per post in raw.submissions and in raw.presence, per place it was found in raw.sightings, per reading in
    raw.observations, per reading of a listing in raw.listing_reads; once a day, what the source says of the community
    and its size. Every answer is written before the next one is asked for: what was read before an error or a kill is
    kept, and what the budget of requests does not reach comes first the next time. A community that cannot be read is
    not searched for missing posts.
    """
    config = work.config(HarvestConfig)
    return {table: {} for table in TABLES} | dict(_harvest(work, config))


def tombstones(work: Work) -> Mapping[str, Metadata]:
    """What is gone from Reddit is forgotten in every layer: posts that were deleted, accounts that were closed.

    Of all communities at once, after their harvests, because it looks through the whole warehouse. One row per
    forgotten post, with nothing but its id, times and the reason. Besides the posts their crossposts go, and all
    pictures, vectors and features that no other post uses; posts of a closed account stay without their author.
    Source: the latest reading of every post, and how often it was missing; what counts as deletion is said in
    `redpop_assets.removals`. The free blocks of the warehouse's files are cleaned when it is published.
    """
    done = forget_what_is_gone(work.warehouse, work.images, *work.settings.partitions)
    work.progress(
        f"{done['posts_forgotten']} posts forgotten with {done['files_removed']} image files, "
        f"{done['posts_anonymised']} posts left without an author whom Reddit does not name any more"
    )
    return {"raw.tombstones": done}


def no_stray_files() -> FileCheck:
    """The rule that no image file is left behind."""
    words = "Every image file that is older than an hour belongs to a row of core.images."
    return FileCheck("no_stray_files", words, _stray_files)


def forget_what_is_gone(warehouse: "Warehouse", images: "ImageStore", *subreddits: str) -> dict[str, int]:
    """Forget what is gone of some communities; returns what is to be said of it."""
    from redpop_assets.images.orphans import remove_orphans, stray_files
    from redpop_assets.storage import forgetting

    forgotten = forgetting.forget(warehouse, images, forgetting.due(warehouse, *subreddits))
    anonymised = forgetting.erase_accounts(warehouse, forgetting.closed_accounts(warehouse, *subreddits))
    anonymised += forgetting.erase_missing_authors(warehouse, *subreddits)
    unused = forgetting.erase_unused_content(warehouse, images)
    for strays in stray_files(warehouse, images, older_than=_SETTLED):
        remove_orphans(warehouse, images, strays)
    return {
        "posts_forgotten": forgotten.posts,
        "files_removed": forgotten.files + unused.files,
        "posts_anonymised": anonymised,
    }


def _stray_files(warehouse: "Warehouse", images: "ImageStore") -> int:
    from redpop_assets.images.orphans import stray_files

    return sum(map(len, stray_files(warehouse, images, older_than=_SETTLED)))


def _harvest(work: Work, config: HarvestConfig) -> Mapping[str, Metadata]:
    """Ask the source as the configuration says; returns for each table what is to be said of it."""
    from redpop_assets.sources.source import Asked

    asked = Asked(tuple(config.listings), config.due_only, config.reobserve)
    try:
        with work.source.open() as source:
            done = source.harvest(work.subreddit, asked, work)
    except RedditBusy:
        raise
    except RedPopError as error:
        # Missing credentials or a banned community are the same a minute later.
        raise dg.Failure(str(error), allow_retries=False) from error
    work.progress(f"{done.new_posts} new posts, {done.requests} requests")
    return {
        "raw.submissions": {
            "new_posts": done.new_posts,
            "forgotten_posts_dropped": done.forgotten,
            "api_requests": done.requests,
            **({} if done.requests_remaining is None else {"api_requests_remaining": done.requests_remaining}),
            "left_over": done.left_over,
        },
        "raw.sightings": {"new_sightings": done.new_sightings},
        "raw.observations": {
            "new_observations": done.new_observations,
            "scores_due_read": done.scores_read,
            "scores_left_over": done.scores_left_over,
        },
        "raw.presence": {
            "posts_checked": done.posts_checked,
            "posts_missing": done.posts_missing,
            "checks_left_over": done.checks_left_over,
        },
        "raw.listing_reads": {
            "listings_read": len(done.readings),
            "listings_left_over": done.listings_left_over,
            "gaps": sum(reading.overlapped is False for reading in done.readings),
            "readings": dg.MetadataValue.md(_table(done.readings)),
        },
        "raw.communities": {"new_answers": done.community_answers},
        "raw.community_sizes": {"new_days": done.community_days},
    }


def _table(readings: "Iterable[ListingRead]") -> str:
    """The readings as a Markdown table."""
    return markdown.table(
        ("listing", "posts", "new", "requests", "ended by"),
        [
            (
                f"{reading.listing}/{reading.time_filter}".removesuffix("/"),
                reading.posts,
                reading.new_posts,
                reading.requests,
                f"{reading.ended}{reading.joined}",
            )
            for reading in readings
        ],
    )

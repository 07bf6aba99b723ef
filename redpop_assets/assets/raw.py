"""Layer raw: what Reddit said, as it said it. Reading and appending only; judging the posts belongs into core."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from pydantic import Field

from redpop_assets import markdown, versions
from redpop_assets.assets.tables import AssetPlan, Metadata, TableAssets, Work, asset_key
from redpop_assets.checks import FileCheck, TableCheck, checks_of, offences_of, verdict
from redpop_assets.errors import RedditBusy, RedPopError
from redpop_assets.settings import Settings

if TYPE_CHECKING:
    from redpop_assets.sources.reddit.harvest import Harvest, ListingRead
    from redpop_assets.sources.reddit.plan import HarvestPlan
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.warehouse import Warehouse

_TABLES = (
    "raw.submissions",
    "raw.sightings",
    "raw.observations",
    "raw.presence",
    "raw.listing_reads",
    "raw.imports",
)

# The row of a younger file may still be on its way.
_SETTLED = timedelta(hours=1)


class HarvestConfig(dg.Config):
    """What one harvest reads."""

    listings: list[str] = Field(
        default=[],
        description="Listings to read whether they are due or not, such as new or top/week:300; empty: the harvest "
        "plan of the settings.",
    )
    due_only: bool = Field(default=True, description="Whether listings of the plan are read only when they are due.")
    reobserve: bool = Field(
        default=True, description="Whether known posts are asked for: maturing scores, and whether all still stand."
    )


def raw_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The harvest, which fills the raw tables in one pass over the API; and forgetting, which empties all of them."""
    return [
        tables.asset(
            AssetPlan(
                name="harvest",
                together=True,
                code_versions=dict.fromkeys(_TABLES, versions.HARVEST),
                resources=("warehouse", "reddit"),
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
                resources=("warehouse", "images"),
                file_checks=(_no_stray_files(),),
            ),
            tombstones,
        ),
    ]


def harvest(work: Work) -> Mapping[str, Metadata]:
    """Read the listings of one subreddit that are due, the scores that are due, and whether old posts still stand.

    One row per post in raw.submissions and in raw.presence, per place it was found in raw.sightings, per reading in
    raw.observations, per reading of a listing in raw.listing_reads. Every answer is written before the next one is
    asked for: what was read before an error or a kill is kept, and what the budget of requests does not reach comes
    first the next time. A community that cannot be read is not searched for missing posts.
    """
    config = work.config(HarvestConfig)
    return {table: {} for table in _TABLES} | dict(_harvest(work, config))


def tombstones(work: Work) -> Mapping[str, Metadata]:
    """What is gone from Reddit is forgotten in every layer: posts that were deleted, accounts that were closed.

    One row per forgotten post, with nothing but its id, times and the reason. Besides the posts their crossposts
    go, and all pictures, vectors and features that no other post uses; posts of a closed account stay without
    their author. Source: the latest reading of every post, and how often it was missing; what counts as deletion is
    said in `redpop_assets.removals`. The free blocks of the warehouse's files are cleaned when it is published.
    """
    done = _forget_what_is_gone(work.warehouse, work.images, work.subreddit)
    work.progress(
        f"{done['posts_forgotten']} posts forgotten with {done['files_removed']} image files, "
        f"{done['posts_anonymised']} posts left without an author whom Reddit does not name any more"
    )
    return {"raw.tombstones": done}


Targets = Mapping[str, Mapping[str, AssetCheckEvaluationTargetMaterializationData]]
"""Table -> community -> the event that told of it: a check says which one it judges."""


@dataclass(frozen=True)
class ImportEvents:
    """What Dagster is told of the raw tables after an import, of all communities at once.

    Attributes:
        tables: how each table is now, for each community.
        offences: table -> each rule, and the offences against it by community.
    """

    tables: list[dg.AssetMaterialization]
    offences: Mapping[str, Sequence[tuple[TableCheck | FileCheck, Mapping[str, int]]]]

    def checks(self, targets: Targets) -> Iterator[dg.AssetCheckEvaluation]:
        """The verdicts, of the events that told of the tables."""
        for table, rules in self.offences.items():
            for rule, found in rules:
                for subreddit, number in found.items():
                    yield _evaluation(table, rule, number, subreddit, targets[table][subreddit])


def import_events(
    settings: Settings, warehouse: "Warehouse", images: "ImageStore", subreddits: Sequence[str], file: str
) -> ImportEvents:
    """See how an import left the raw tables.

    What is gone from Reddit is forgotten first, as by `tombstones`. The cost grows with the rows of these communities,
    and no query is asked for each of them unless something is wrong.
    """
    done = _forget_what_is_gone(warehouse, images, *subreddits)
    strays = dict.fromkeys(subreddits, _stray_files(warehouse, images))
    told: list[dg.AssetMaterialization] = []
    offences: dict[str, list[tuple[TableCheck | FileCheck, Mapping[str, int]]]] = {}
    with warehouse.read() as reader:
        for table in (*_TABLES, "raw.tombstones"):
            count = reader.scalar(f"SELECT count(*) FROM {table}")
            own = (
                reader.fingerprints(table, subreddits)
                if "subreddit" in warehouse.schema[table].column_names
                else dict.fromkeys(subreddits, (count, reader.fingerprint(table)))
            )
            said: dict[str, int] = done if table == "raw.tombstones" else {}
            code_version = versions.FORGETTING if table == "raw.tombstones" else versions.HARVEST
            told += [
                dg.AssetMaterialization(
                    asset_key(table),
                    partition=name,
                    metadata={
                        "dagster/row_count": count,
                        "dagster/partition_row_count": rows,
                        "imported_file": file,
                        **said,
                    },
                    tags={"dagster/data_version": digest, "dagster/code_version": code_version},
                )
                for name, (rows, digest) in own.items()
            ]
            offences[table] = [
                (rule, offences_of(reader, rule, table, subreddits, settings))
                for rule in checks_of(warehouse.schema[table])
            ]
    offences["raw.tombstones"].append((_no_stray_files(), strays))
    return ImportEvents(told, offences)


def _evaluation(
    table: str,
    rule: TableCheck | FileCheck,
    offences: int,
    subreddit: str,
    target: AssetCheckEvaluationTargetMaterializationData,
) -> dg.AssetCheckEvaluation:
    found = verdict(table, rule, offences)
    return dg.AssetCheckEvaluation(
        asset_key(table),
        rule.name,
        passed=found.passed,
        metadata=found.metadata,
        target_materialization_data=target,
        severity=found.severity,
        blocking=rule.blocking,
        partition=subreddit,
    )


def _no_stray_files() -> FileCheck:
    words = "Every image file that is older than an hour belongs to a row of core.images."
    return FileCheck("no_stray_files", words, _stray_files)


def _forget_what_is_gone(warehouse: "Warehouse", images: "ImageStore", *subreddits: str) -> dict[str, int]:
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
    """Read Reddit as the configuration says; returns for each table what is to be said of it."""
    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.sources.reddit.harvest import Harvest, Reread

    settings = work.settings
    key = AuthorKey.load_or_create(settings.home / "author.key")
    scores = standing = Reread()
    try:
        with work.reddit.connect() as client:
            run = Harvest(work.subreddit, client, work.warehouse, key, requests=settings.requests_per_harvest)
            unread = _read_listings(work, config, run, settings.plan_of(work.subreddit))
            if config.reobserve:
                scores = run.mature(settings.maturation)
                standing = run.recheck(settings.recheck, settings.maturation)
            remaining = client.requests_remaining
    except RedditBusy:
        raise
    except RedPopError as error:
        # Missing credentials or a banned community are the same a minute later.
        raise dg.Failure(str(error), allow_retries=False) from error
    work.progress(
        f"scores of {scores.asked} posts that were due, {standing.asked} older posts checked, "
        f"{scores.missing + standing.missing} posts missing"
    )
    if doubted := scores.doubted + standing.doubted:
        work.warn(
            f"Answers of Reddit lacked {doubted} posts, and others of r/{work.subreddit} that stood before as well. "
            "Nothing was concluded from that: the community may be closed at the moment, or the service disturbed."
        )
    if left := unread + scores.left_over + standing.left_over:
        work.warn(
            f"{run.requests_made} requests are spent; {unread} listings, {scores.left_over} scores and "
            f"{standing.left_over} checks come first in the next harvest. If this lasts, raise "
            "REDPOP_REQUESTS_PER_HARVEST."
        )
    work.progress(f"{run.new_submissions} new posts, {run.requests_made} requests")
    return {
        "raw.submissions": {
            "new_posts": run.new_submissions,
            "forgotten_posts_dropped": run.forgotten,
            "api_requests": run.requests_made,
            **({} if remaining is None else {"api_requests_remaining": remaining}),
            "left_over": left,
        },
        "raw.sightings": {"new_sightings": run.new_sightings},
        "raw.observations": {
            "new_observations": run.new_observations,
            "scores_due_read": scores.asked,
            "scores_left_over": scores.left_over,
        },
        "raw.presence": {
            "posts_checked": standing.asked,
            "posts_missing": scores.missing + standing.missing,
            "checks_left_over": standing.left_over,
        },
        "raw.listing_reads": {
            "listings_read": len(run.readings),
            "listings_left_over": unread,
            "gaps": sum(reading.overlapped is False for reading in run.readings),
            "readings": dg.MetadataValue.md(_table(run.readings)),
        },
    }


def _read_listings(work: Work, config: HarvestConfig, run: "Harvest", plan: "HarvestPlan") -> int:
    """Read the listings that the configuration asks for; returns how many the budget did not reach."""
    from redpop_assets.sources.reddit.plan import PlannedListing

    if config.listings:
        chosen = tuple(PlannedListing.parse(text) for text in config.listings)
    else:
        chosen = plan.due(run.last_read(), run.now()) if config.due_only else plan.entries
    if not chosen:
        entry, when = plan.next_due(run.last_read())
        work.progress(f"no listing is due; the next is {entry.listing}, at {when:%Y-%m-%d %H:%M} UTC")
    for done, planned in enumerate(chosen):
        if not run.requests_left:
            return len(chosen) - done
        reading = run.read_listing(planned)
        work.progress(
            f"{planned.listing}: {reading.posts} posts, {reading.new_posts} new, {reading.requests} requests, "
            f"ended by {reading.ended}{_joined(reading)}"
        )
        if reading.overlapped is False:
            work.warn(
                f"Posts of r/{work.subreddit} made between {reading.gap_from:%Y-%m-%d %H:%M} and "
                f"{reading.gap_to:%Y-%m-%d %H:%M} UTC may have been missed: `new` ended before it reached what was "
                "read the last time. Read it deeper or more often (REDPOP_HARVEST_PLAN, REDPOP_DISCOVERY_CRON)."
            )
    return 0


def _joined(reading: "ListingRead") -> str:
    if reading.overlapped is None:
        return ""
    if reading.overlapped:
        return ", joined on to the reading before"
    return f", gap from {reading.gap_from:%Y-%m-%d %H:%M} to {reading.gap_to:%Y-%m-%d %H:%M} UTC"


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
                f"{reading.ended}{_joined(reading)}",
            )
            for reading in readings
        ],
    )

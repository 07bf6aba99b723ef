"""The ways into the raw tables: a harvest of the API, listing by listing; and an import of an archive, by chunks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from redpop_assets.reddit.archives import ArchivedPost, BrokenLine, Chunk
from redpop_assets.reddit.archives import read as read_archive
from redpop_assets.reddit.cleaning import parse_post_id
from redpop_assets.reddit.client import RedditClient
from redpop_assets.reddit.listings import Listing, Page
from redpop_assets.reddit.records import (
    OBSERVATIONS,
    SIGHTINGS,
    SUBMISSIONS,
    AuthorKey,
    observation_rows,
    pseudonymise,
    sighting_rows,
    submission_rows,
)
from redpop_assets.storage.warehouse import Warehouse, Writer

# Known posts of a living source between birth and giving up, without a reading at the label age or in this harvest.
_YOUNG = """
WITH known AS (
    SELECT post_id, to_timestamp((json->>'created_utc')::DOUBLE)::TIMESTAMP AS created_at
    FROM raw.submissions WHERE subreddit = $subreddit AND origin = 'listing'
)
SELECT k.post_id
FROM known AS k
WHERE k.created_at > $oldest AND NOT EXISTS (
    FROM raw.observations AS o
    WHERE o.post_id = k.post_id AND (o.observed_at >= k.created_at + $label_age OR o.observed_at >= $started_at)
)
ORDER BY k.created_at, k.post_id
"""


@dataclass(frozen=True)
class ListingCounts:
    """Posts that a listing held, and how many of them were not known before."""

    submissions: int
    new: int


class Harvest:
    """One pass over the API for one subreddit. Every listing is written as soon as it has been read.

    Args:
        subreddit: partition, in lower case.
        client: logged-in client.
        warehouse: where the rows go.
        key: hides the names of people before anything is stored.
    """

    def __init__(self, subreddit: str, client: RedditClient, warehouse: Warehouse, key: AuthorKey) -> None:
        self.subreddit = subreddit
        self.new_submissions = 0
        self.new_sightings = 0
        self.new_observations = 0
        self._client = client
        self._warehouse = warehouse
        self._key = key
        self._started_at: datetime | None = None

    @property
    def requests_made(self) -> int:
        """HTTP requests sent so far."""
        return self._client.requests_made

    def read_listing(self, listing: Listing, *, depth: int) -> ListingCounts:
        """Read up to `depth` posts of a listing and append what is new; what was read before an error is kept.

        Raises:
            RedditError: as `RedditClient.pages`.
        """
        pages: list[Page] = []
        new = 0
        try:
            for page in self._client.pages(self.subreddit, listing, limit=depth):
                self._started_at = self._started_at or page.observed_at
                pages.append(page)
        finally:
            # Even a community without a post leaves a warehouse, in which the next steps find no rows.
            if pages or not self._warehouse.live.exists():
                with self._warehouse.write() as writer:
                    new = sum(self._store(writer, page) for page in pages)
        return ListingCounts(sum(len(page.submissions) for page in pages), new)

    def reobserve(self, *, label_age: timedelta, give_up: timedelta) -> int:
        """Read the scores of known posts that are younger than `give_up` and have no reading at the label age yet.

        Posts that this harvest has read are left out. Returns the number of posts read.

        Raises:
            RedditError: as `RedditClient.info`.
        """
        now = self._client.now().replace(tzinfo=None)
        started_at = self._started_at.replace(tzinfo=None) if self._started_at else now
        young = self._warehouse.query(
            _YOUNG,
            {"subreddit": self.subreddit, "oldest": now - give_up, "label_age": label_age, "started_at": started_at},
        )
        read = 0
        for page in self._client.info(young.column("post_id").to_pylist()):
            rows = observation_rows(
                page.submissions, subreddit=self.subreddit, observed_at=page.observed_at, endpoint="info"
            )
            self.new_observations += self._warehouse.append("raw.observations", rows)
            read += rows.num_rows
        return read

    def _store(self, writer: Writer, page: Page) -> int:
        observed_at = page.observed_at
        hidden = [pseudonymise(submission, self._key) for submission in page.submissions]
        new = writer.append(
            "raw.submissions", submission_rows(hidden, subreddit=self.subreddit, discovered_at=observed_at)
        )
        self.new_submissions += new
        self.new_sightings += writer.append("raw.sightings", sighting_rows(page, subreddit=self.subreddit))
        self.new_observations += writer.append(
            "raw.observations",
            observation_rows(hidden, subreddit=self.subreddit, observed_at=observed_at, endpoint="listing"),
        )
        return new


@dataclass(frozen=True)
class ImportReport:
    """What an import found and what of it was new."""

    posts: int
    new_submissions: int
    new_observations: int
    observed_at_rules: tuple[str, ...]
    broken: int
    broken_samples: tuple[BrokenLine, ...]
    other_subreddit: int


def import_archive(
    path: Path,
    subreddit: str,
    warehouse: Warehouse,
    key: AuthorKey,
    *,
    observed_at: datetime | None = None,
    progress: Callable[[Chunk], None] | None = None,
) -> ImportReport:
    """Append the posts of a table or dump to the raw tables; importing a file again adds nothing.

    Args:
        path: see `archives.read`.
        subreddit: whose posts are wanted; also the partition, in lower case.
        warehouse, key: as for `Harvest`.
        observed_at: when the scores were read, for rows that do not say so (aware).
        progress: called after every chunk.

    Raises:
        ArchiveError: as `archives.read`; chunks before it are kept.
    """
    partition = subreddit.lower()
    posts = submissions = observations = 0
    rules: set[str] = set()
    chunk: Chunk | None = None
    for chunk in read_archive(path, subreddit=subreddit, observed_at=observed_at):
        tables = _archive_tables(chunk.rows, partition, f"archive:{path.name}", key)
        with warehouse.write() as writer:
            submissions += writer.append("raw.submissions", tables["raw.submissions"])
            observations += writer.append("raw.observations", tables["raw.observations"])
            writer.append("raw.sightings", tables["raw.sightings"])
        posts += len(chunk.rows)
        rules.update(row.observed_at_rule for row in chunk.rows)
        if progress is not None:
            progress(chunk)
    return ImportReport(
        posts=posts,
        new_submissions=submissions,
        new_observations=observations,
        observed_at_rules=tuple(sorted(rules)),
        broken=chunk.broken if chunk else 0,
        broken_samples=chunk.broken_samples if chunk else (),
        other_subreddit=chunk.other_subreddit if chunk else 0,
    )


def _archive_tables(rows: Sequence[ArchivedPost], partition: str, origin: str, key: AuthorKey) -> dict[str, pa.Table]:
    """Rows of the three raw tables; those of one moment and listing are built together."""
    parts: dict[str, list[pa.Table]] = {
        "raw.submissions": [SUBMISSIONS.empty_table()],
        "raw.observations": [OBSERVATIONS.empty_table()],
        "raw.sightings": [SIGHTINGS.empty_table()],
    }
    grouped: dict[tuple[datetime, str | None, str | None], list[ArchivedPost]] = {}
    for row in rows:
        grouped.setdefault((row.observed_at, row.listing, row.time_filter), []).append(row)
    for (moment, listing, time_filter), members in grouped.items():
        hidden = tuple(_identified(pseudonymise(member.submission, key)) for member in members)
        parts["raw.submissions"].append(
            submission_rows(hidden, subreddit=partition, discovered_at=moment, origin=origin)
        )
        parts["raw.observations"].append(
            observation_rows(hidden, subreddit=partition, observed_at=moment, endpoint="archive")
        )
        if listing is not None:
            ranks = tuple(member.rank or 0 for member in members)
            page = Page(Listing(listing, time_filter or ""), moment, 0, hidden, ranks)
            parts["raw.sightings"].append(sighting_rows(page, subreddit=partition))
    return {table: pa.concat_tables(found) for table, found in parts.items()}


def _identified(submission: dict[str, Any]) -> dict[str, Any]:
    """Archives may spell the id as `t3_…` or give it as `name` only."""
    post_id = parse_post_id(submission.get("id")) or parse_post_id(submission.get("name"))
    return submission if submission.get("id") == post_id else {**submission, "id": post_id}

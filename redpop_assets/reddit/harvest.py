"""The first way into the raw tables: a harvest of the API, listing by listing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from redpop_assets.reddit.client import RedditClient
from redpop_assets.reddit.listings import Listing, Page
from redpop_assets.reddit.records import (
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

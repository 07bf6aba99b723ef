"""A harvest of Arctic Shift: new posts, their second readings, and single posts whose second reading is late.

The archive reads each post when it is made and once more some 36 hours later. So a community is walked twice by time,
oldest first: to its newest post, and again over what has been read a second time since. The second walk brings the
scores of many posts in one answer, and posts that the archive missed the first time. Posts that it brought no second
reading of are asked for by id until they have one or are given up.

Every answer is written in one transaction together with the place that the walk has reached (raw.listing_reads), so a
kill loses one answer and doubles nothing. When a score was read, the post itself says; what a post that is not in an
answer has become, this archive does not say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from redpop_assets.errors import SubredditUnavailable
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives.posts import read_record
from redpop_assets.sources.archives.records import Record, forgotten_ids, raw_rows, without
from redpop_assets.sources.arctic_shift.client import ArcticShiftClient
from redpop_assets.sources.communities import KeptCommunity, keep_community
from redpop_assets.sources.listings import ListingRead
from redpop_assets.sources.records import created_at, listing_read_rows
from redpop_assets.sources.revisions import Reading, revise
from redpop_assets.sources.services import ARCTIC_SHIFT, SERVICES
from redpop_assets.sources.state import ASKABLE, asked_of, frontier
from redpop_assets.sources.typed import BrokenRecordError
from redpop_assets.storage.arrow import naive_utc
from redpop_assets.storage.rows import Writer
from redpop_assets.storage.warehouse import Warehouse

NEW, SECOND = "new", "second"
"""The two walks, as raw.listing_reads calls them."""

SECOND_READ_BY: Final = timedelta(hours=40)
"""Age at which the archive has read a post a second time, unless it is late."""

OVERLAP: Final = timedelta(hours=2)
"""How far before its end a walk begins again: posts reach the archive minutes after they were made."""

IDS_AT_ONCE: Final = 500

# A post was discovered after it was made, so the first conditions spare most of the JSON.
_LACKING = f"""
WITH young AS (
    SELECT s.post_id, to_timestamp(TRY_CAST(s.json->>'created_utc' AS DOUBLE))::TIMESTAMP AS created_at
    FROM raw.submissions AS s WHERE {ASKABLE} AND s.discovered_at >= $oldest
)
SELECT y.post_id
FROM young AS y
WHERE y.created_at >= $oldest AND y.created_at < $walked AND NOT EXISTS (
    FROM raw.observations AS o
    WHERE o.post_id = y.post_id AND o.score IS NOT NULL AND o.observed_at >= y.created_at + $second_from
)
ORDER BY y.created_at, y.post_id
"""


@dataclass
class Tally:
    """What came of the answers so far: rows appended, posts dropped because they were forgotten, and what was wrong.

    `refused` says of each record that is no post what is wrong with it, `emptied` of each value that was left out.
    """

    new_posts: int = 0
    new_observations: int = 0
    forgotten: int = 0
    refused: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


class ArcticShiftHarvest:
    """One pass over the archive for one community, within a budget of requests.

    Posts that were forgotten, and crossposts of such posts, are dropped before anything is stored.

    Args:
        subreddit: partition, in lower case.
        client: asks the archive.
        warehouse: where the rows go; made if there is none.
        key: hides the names of people before anything is stored.
        look_back: how far back the first harvest of a community begins.
        give_up: age past which a post without a second reading is asked for no more.
        requests: most requests of this harvest.

    Attributes:
        done: what came of it so far.
    """

    def __init__(
        self,
        subreddit: str,
        client: ArcticShiftClient,
        warehouse: Warehouse,
        key: AuthorKey,
        *,
        look_back: timedelta,
        give_up: timedelta,
        requests: int = 1000,
    ) -> None:
        self.subreddit = subreddit
        self.done = Tally()
        self._walks: list[_Walk] = []
        self._client = client
        self._warehouse = warehouse
        self._key = key
        self._look_back = look_back
        self._give_up = give_up
        self._requests = requests
        self._requests_before = client.requests_made
        if not warehouse.exists():
            with warehouse.write():
                pass

    @property
    def requests_made(self) -> int:
        """Requests sent by this harvest so far."""
        return self._client.requests_made - self._requests_before

    @property
    def requests_left(self) -> int:
        """What is left of the budget."""
        return max(0, self._requests - self.requests_made)

    @property
    def readings(self) -> list[ListingRead]:
        """The walks that were made."""
        return [walk.reading for walk in self._walks]

    def walk(self) -> int:
        """Read the posts that are new, then those whose second reading is; returns how many walks are not done.

        Raises:
            SubredditUnavailable: nothing is stored of the community, and the archive does not know it.
            RedditError: as `ArcticShiftClient.posts`; what was read before it is kept.
        """
        now = naive_utc(self._client.now())
        settled = now - SECOND_READ_BY
        known_to = frontier(self._warehouse, self.subreddit)
        begin = now - self._look_back if known_to is None else known_to - OVERLAP
        first = _Walk.begun(self.subreddit, NEW, now, begin, joined=None if known_to is None else True)
        again_from = frontier(self._warehouse, self.subreddit, SECOND) or begin
        second = _Walk.begun(self.subreddit, SECOND, now, again_from, joined=None)
        if not self._go(first, known_to or begin, None, settled, second):
            return 2
        if not first.ids:
            self._require_community()
        return 0 if second.reached >= settled or self._go(second, second.reached, settled, settled) else 1

    def ask_for_the_rest(self) -> tuple[int, int]:
        """Ask by id for posts that the second walk has passed and that have no second reading; some are late.

        Returns:
            How many were asked for, and how many the budget did not reach.

        Raises:
            RedditError: as `ArcticShiftClient.by_ids`; the answers before it are kept.
        """
        walked = frontier(self._warehouse, self.subreddit, SECOND)
        if walked is None:
            return 0, 0
        lacking = self._warehouse.query(
            _LACKING,
            {
                "subreddit": self.subreddit,
                **asked_of(self._warehouse.source),
                "oldest": naive_utc(self._client.now()) - self._give_up,
                "walked": walked,
                "second_from": SERVICES[ARCTIC_SHIFT].label_rule.age,
            },
        )
        ids = lacking.column("post_id").to_pylist()
        asked = 0
        while asked < len(ids) and self.requests_left:
            for page in self._client.by_ids(ids[asked : asked + IDS_AT_ONCE]):
                posts = self._parsed(page.submissions)
                with self._warehouse.write() as writer:
                    self._store(writer, posts)
                asked += len(page.requested)
        return asked, len(ids) - asked

    def begins_a_day(self) -> bool:
        """Whether there was no walk yet since midnight, by the archive's clock (UTC)."""
        last = self._warehouse.scalar(
            "SELECT max(read_at) FROM raw.listing_reads WHERE subreddit = $subreddit AND listing = 'new'",
            {"subreddit": self.subreddit},
        )
        return last is None or bool(last.date() < self._client.now().date())

    def keep_facts(self) -> KeptCommunity:
        """Ask what the archive says of the community, its rules, and its members since the last day that is known.

        Raises:
            RedditError: as `ArcticShiftClient.community`.
        """
        known_to = self._warehouse.scalar(
            "SELECT max(day) FROM raw.community_sizes WHERE subreddit = $subreddit", {"subreddit": self.subreddit}
        )
        after = self._client.now() - self._look_back
        if known_to is not None:
            after = max(after, datetime(known_to.year, known_to.month, known_to.day, tzinfo=UTC))
        about = self._client.community(self.subreddit)
        rules = self._client.rules([self.subreddit]).get(self.subreddit)
        sizes = self._client.subscribers(self.subreddit, after=after)
        with self._warehouse.write() as writer:
            return keep_community(
                writer, self.subreddit, read_at=self._client.now(), about=about, rules=rules, sizes=sizes
            )

    def _go(
        self,
        walk: "_Walk",
        known_to: datetime,
        before: datetime | None,
        settled: datetime,
        other: "_Walk | None" = None,
    ) -> bool:
        """Walk to the newest post, or to a moment; returns whether it came there within the budget.

        Args:
            walk: where it begins and what it has come across.
            known_to: up to when an earlier one had come.
            before: where it ends; None at the newest post.
            settled: posts from before have been read twice.
            other: walk over those, which need not go where this one did.
        """
        self._walks.append(walk)
        requests = self._client.requests_made
        after, end = walk.reached.replace(tzinfo=UTC), None if before is None else before.replace(tzinfo=UTC)
        for page in self._client.posts(self.subreddit, after=after, before=end):
            posts = self._parsed(page.submissions)
            begun = walk.reached
            with self._warehouse.write() as writer:
                kept, new = self._store(writer, posts)
                walk.come(naive_utc(page.complete_to), kept, new, self._client.requests_made - requests)
                places = [walk.reading]
                if other is not None and other.take_over(begun, min(walk.reached, settled)):
                    places.append(other.reading)
                writer.merge("raw.listing_reads", listing_read_rows(places))
            # A reading that only found again what was there goes on: else a small budget would never come further.
            if not self.requests_left and walk.reached > known_to:
                return False
        # What the archive will yet be given is younger, or found by the second walk.
        walk.end(settled)
        self._warehouse.merge("raw.listing_reads", listing_read_rows([walk.reading]))
        return True

    def _require_community(self) -> None:
        """Tell a community that has no posts from one that does not exist: the archive answers alike."""
        stored = self._warehouse.scalar(
            "SELECT count(*) FROM (FROM raw.submissions WHERE subreddit = $subreddit LIMIT 1)",
            {"subreddit": self.subreddit},
        )
        if not stored and self._client.community(self.subreddit) is None:
            raise SubredditUnavailable(
                f"Arctic Shift has no post of r/{self.subreddit} and does not know it: check the spelling, or take it "
                "out of REDPOP_SUBREDDITS; a new or private community may not be there yet."
            )

    def _parsed(self, submissions: Iterable[dict[str, Any]]) -> list[Record]:
        """The posts of an answer, without names; what is none is counted."""
        posts = []
        for submission in submissions:
            try:
                row, emptied = read_record(submission)
            except BrokenRecordError as error:
                self.done.refused.append(str(error))
                continue
            self.done.emptied += emptied
            # The archive knows no listings.
            unlisted = replace(row, listing=None, time_filter=None, rank=None)
            posts.append(Record.of(unlisted, self.subreddit, self._key))
        return posts

    def _store(self, writer: Writer, posts: Sequence[Record]) -> tuple[list[Record], int]:
        """Append the posts of an answer; returns those that may be kept, and how many of them are new."""
        forgotten = forgotten_ids(writer, posts)
        tables = raw_rows(posts, origin=ARCTIC_SHIFT, endpoint=ARCTIC_SHIFT)
        new = {table: writer.append(table, without(rows, forgotten)) for table, rows in tables.items()}
        kept = [post for post in posts if post.post_id not in forgotten]
        revise(writer, (Reading(post.submission, post.row.observed_at) for post in kept), origin=ARCTIC_SHIFT)
        self.done.new_posts += new["raw.submissions"]
        self.done.new_observations += new["raw.observations"]
        self.done.forgotten += len(forgotten)
        return kept, new["raw.submissions"]


@dataclass
class _Walk:
    """A walk through a community by time, oldest first: what it has come across. Times are UTC without zone."""

    reading: ListingRead
    reached: datetime
    ids: set[str] = field(default_factory=set)

    @classmethod
    def begun(cls, subreddit: str, listing: str, now: datetime, begin: datetime, *, joined: bool | None) -> Self:
        """A walk that is to begin at a moment; `joined`: whether an earlier one ended there."""
        reading = ListingRead(
            subreddit=subreddit,
            listing=listing,
            time_filter="",
            read_at=now.replace(microsecond=0),
            posts=0,
            new_posts=0,
            requests=0,
            ended="upwards",
            oldest_created_at=None,
            newest_created_at=begin,
            overlapped=joined,
            gap_from=None,
            gap_to=None,
        )
        return cls(reading, begin)

    def come(self, reached: datetime, posts: Iterable[Record], new: int, requests: int) -> None:
        """Note an answer: up to when all posts are there now, its posts, how many are new, and requests so far."""
        self.reached = max(self.reached, reached)
        before = self.reading
        made = [naive_utc(at) for post in posts if (at := created_at(post.submission)) is not None]
        self.ids.update(post.post_id for post in posts)
        self.reading = replace(
            before,
            posts=len(self.ids),
            new_posts=before.new_posts + new,
            requests=requests,
            oldest_created_at=min([*filter(None, [before.oldest_created_at]), *made], default=None),
            newest_created_at=self.reached,
        )

    def take_over(self, since: datetime, to: datetime) -> bool:
        """Go on behind what another walk has read between two moments; False where this one is elsewhere."""
        if not since <= self.reached < to:
            return False
        self.reached = to
        self.reading = replace(self.reading, newest_created_at=to)
        return True

    def end(self, at_least: datetime) -> None:
        """Note that there is nothing more, and so all from before a moment was read."""
        self.reached = max(self.reached, at_least)
        self.reading = replace(self.reading, ended="end", newest_created_at=self.reached)

"""The first way into the raw tables: a harvest of the API: its listings, then single posts by id.

What is read when is decided by the rules of `reddit.plan`. Every answer is written, in one transaction, before the next
one is asked for: an error or a kill loses nothing that was read.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.errors import RedditError, SettingsError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.submissions import pseudonymise
from redpop_assets.sources.listings import COMPLETE, InfoPage, Listing, ListingRead, Page
from redpop_assets.sources.records import (
    PRESENCE,
    created_at,
    listing_read_rows,
    observation_rows,
    shown_ids,
    sighting_rows,
    submission_rows,
)
from redpop_assets.sources.reddit.client import ITEMS_PER_REQUEST, RedditClient
from redpop_assets.sources.reddit.plan import ONCE_A_DAY, Maturation, PlannedListing, tolerance
from redpop_assets.sources.revisions import Reading, revise
from redpop_assets.sources.state import ASKABLE, asked_of, frontier
from redpop_assets.storage.arrow import naive_utc
from redpop_assets.storage.rows import Reader, Writer
from redpop_assets.storage.warehouse import Warehouse

NEW = Listing("new")

OVERLAP = 25
"""Posts of `new` in a row that the last reading must have seen, until this one is sure to have joined on to it."""

SHORT_LISTING = 900
"""A listing that ends by itself with fewer posts holds the whole community: Reddit cuts at about 1,000."""

_TO_THE_BOTTOM = ("end", "depth")

_LAST_READ = """
SELECT listing, time_filter, max(read_at) AS read_at FROM raw.listing_reads
WHERE subreddit = $subreddit AND ended IN (SELECT unnest($endings)) AND listing <> 'second' GROUP BY ALL
"""
# A post was discovered after it was made, so the first condition spares most of the JSON.
_YOUNG = f"""
WITH young AS (
    SELECT s.post_id, to_timestamp(TRY_CAST(s.json->>'created_utc' AS DOUBLE))::TIMESTAMP AS created_at
    FROM raw.submissions AS s WHERE {ASKABLE} AND s.discovered_at >= $oldest
)
SELECT
    y.post_id,
    y.created_at,
    greatest(max(o.observed_at), any_value(p.checked_at)) AS last_read_at,
    coalesce(bool_or(
        o.observed_at >= y.created_at + $label_age AND o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE)
    ), FALSE) AS labelled
FROM young AS y
LEFT JOIN raw.observations AS o USING (post_id)
LEFT JOIN raw.presence AS p ON p.post_id = y.post_id
WHERE y.created_at >= $oldest
GROUP BY y.post_id, y.created_at
"""
# The state is as of the latest reading that says something about it.
_UNCHECKED = f"""
WITH unchecked AS MATERIALIZED (
    SELECT s.post_id, p.checked_at
    FROM raw.submissions AS s LEFT JOIN raw.presence AS p USING (post_id)
    WHERE {ASKABLE} AND (
        p.checked_at IS NULL
        OR p.checked_at <= $too_old
        OR (p.checked_at <= $old AND s.post_id NOT IN (SELECT unnest($maturing::VARCHAR[])))
    )
),
chosen AS MATERIALIZED (FROM unchecked ORDER BY checked_at NULLS FIRST, post_id LIMIT $posts),
latest AS (
    SELECT
        post_id,
        arg_max_null(removed_by_category, observed_at) AS removed_by_category,
        arg_max_null(author_present, observed_at) AS author_present
    FROM raw.observations SEMI JOIN chosen USING (post_id) GROUP BY post_id
)
SELECT
    c.post_id,
    l.post_id IS NOT NULL AS observed,
    l.removed_by_category,
    l.author_present,
    (SELECT count(*) FROM unchecked) AS unchecked
FROM chosen AS c LEFT JOIN latest AS l USING (post_id)
ORDER BY c.checked_at NULLS FIRST, c.post_id
"""


# Posts that stood when Reddit was last asked for them; it should know the newest of them best.
_STANDING = """
SELECT post_id FROM raw.presence WHERE subreddit = $subreddit AND misses = 0 AND NOT list_contains($asked, post_id)
ORDER BY checked_at DESC, post_id LIMIT $controls
"""
_CONTROLS = 10


@dataclass(frozen=True)
class Reread:
    """Posts that were asked for by id.

    Attributes:
        asked: how many.
        missing: how many of them Reddit did not return, by an answer that was believed.
        doubted: how many of them an answer lacked that was not believed; nothing is known of these.
        left_over: how many could not be asked for.
    """

    asked: int = 0
    missing: int = 0
    doubted: int = 0
    left_over: int = 0


@dataclass
class _Window:
    """What a reading of a listing has come across so far. Times are UTC without zone.

    Attributes:
        frontier: up to when the last complete reading of `new` knew all posts; None without one.
        read_at: date of the first answer.
        ids: of all posts.
        new: posts not known before.
        created: when the posts were made, in the order of the listing; pinned and promoted ones left out.
        behind: how many of them, at the end and in a row, are not newer than the frontier.
    """

    frontier: datetime | None
    read_at: datetime
    ids: set[str] = field(default_factory=set)
    new: int = 0
    created: list[datetime] = field(default_factory=list)
    behind: int = 0

    def extend(self, submissions: Iterable[dict[str, Any]]) -> None:
        for submission in submissions:
            made = created_at(submission)
            if made is None or submission.get("stickied") or not submission.get("subreddit"):
                continue
            self.created.append(naive_utc(made))
            self.behind = self.behind + 1 if self.frontier and self.created[-1] <= self.frontier else 0

    def joined(self, ended: str) -> bool | None:
        """Whether it joins on to the last complete reading; None if that cannot be said."""
        if self.frontier is None:
            return None
        if self.behind or (ended == "end" and len(self.ids) < SHORT_LISTING):
            return True
        return False if ended in COMPLETE else None

    def gap(self, ended: str) -> tuple[datetime, datetime] | tuple[None, None]:
        """From when to when posts may have been made that no reading has seen."""
        if self.frontier is None or self.joined(ended) is not False:
            return None, None
        return self.frontier, min((made for made in self.created if made > self.frontier), default=self.read_at)


class Harvest:
    """One pass over the API for one subreddit, within a budget of requests.

    Posts that were forgotten (raw.tombstones), and crossposts of such posts, are dropped before anything is stored.

    Args:
        subreddit: partition, in lower case.
        client: logged-in client.
        warehouse: where the rows go; made if there is none, so that even a community without a post leaves one, in
            which the next steps find no rows.
        key: hides the names of people before anything is stored.
        requests: most requests of this harvest; logins and repeated attempts count.

    Attributes:
        new_submissions, new_sightings, new_observations: rows appended so far.
        forgotten: posts dropped so far because they were forgotten.
        readings: of listings, in the order in which they were made; failed ones too.
    """

    def __init__(
        self, subreddit: str, client: RedditClient, warehouse: Warehouse, key: AuthorKey, *, requests: int = 1000
    ) -> None:
        self.subreddit = subreddit
        self.new_submissions = 0
        self.new_sightings = 0
        self.new_observations = 0
        self.forgotten = 0
        self.readings: list[ListingRead] = []
        self._client = client
        self._warehouse = warehouse
        self._key = key
        self._requests = requests
        self._requests_before = client.requests_made
        if not warehouse.exists():
            with warehouse.write():
                pass

    @property
    def requests_made(self) -> int:
        """HTTP requests sent by this harvest so far."""
        return self._client.requests_made - self._requests_before

    @property
    def requests_left(self) -> int:
        """What is left of the budget."""
        return max(0, self._requests - self.requests_made)

    def now(self) -> datetime:
        """The time on Reddit's clock (UTC, without zone).

        Raises:
            RedditError: as `RedditClient.now`.
        """
        return naive_utc(self._client.now())

    def last_read(self) -> dict[Listing, datetime]:
        """When each listing was last read completely (UTC, without zone); those never read are left out."""
        return self._last_read(COMPLETE)

    def read_listing(self, planned: PlannedListing) -> ListingRead:
        """Read a listing and append what is new; what was read before an error is kept.

        `new` is read from the newest post until it has joined on to the last complete reading, and once a day to its
        planned depth: posts that a moderator approved late appear further down, at the time they were made.

        Raises:
            RedditError: as `RedditClient.pages`; the failed reading is recorded, too.
        """
        listing = planned.listing
        known_to = frontier(self._warehouse, self.subreddit) if listing == NEW else None
        window = _Window(known_to, self.now())
        may_stop = known_to is not None and not self._to_the_bottom_is_due()
        before = self._client.requests_made
        reached = 0
        ended = "error"
        try:
            for page in self._client.pages(self.subreddit, listing, limit=planned.depth):
                if not reached:
                    window.read_at = naive_utc(page.observed_at)
                reached = max((*page.ranks, page.first_rank)) + 1
                self._store(page, window)
                if may_stop and window.behind >= OVERLAP:
                    ended = "overlap"
                    break
                if reached < planned.depth and not self.requests_left:
                    ended = "budget"
                    break
            else:
                ended = "depth" if reached >= planned.depth else "end"
        except (RedditError, SettingsError):
            self._record(listing, window, ended, before)
            raise
        return self._record(listing, window, ended, before)

    def mature(self, maturation: Maturation) -> Reread:
        """Read the scores that are due, those due for longest first, as far as the budget goes.

        Raises:
            RedditError: as `RedditClient.info`; the answers before it are kept.
        """
        now = self.now()
        due = sorted((due_at, post_id) for post_id, due_at in self._scheduled(maturation, now) if due_at <= now)
        return self._ask([post_id for _, post_id in due], {})

    def recheck(self, every: timedelta, maturation: Maturation) -> Reread:
        """Ask for every post that was not seen for so long, the longest first, as far as the budget goes.

        Of posts whose scores are read no more, a reading is only kept if they were removed or lost their author, or the
        contrary, since the last one; of all others it is one more reading of the score. Posts that are due to be read
        anyhow are left to `mature`, unless it is too late.

        Raises:
            RedditError: as `RedditClient.info`; the answers before it are kept.
        """
        now = self.now()
        maturing = [post_id for post_id, _ in self._scheduled(maturation, now)]
        rows = self._warehouse.query(
            _UNCHECKED,
            {
                **self._scope,
                "old": now - every + tolerance(every),
                "too_old": now - every,
                "maturing": maturing,
                "posts": max(1, self.requests_left * ITEMS_PER_REQUEST),
            },
        ).to_pylist()
        settled = {row["post_id"] for row in rows} - set(maturing)
        states = {
            row["post_id"]: (row["removed_by_category"], row["author_present"])
            for row in rows
            if row["observed"] and row["post_id"] in settled
        }
        reread = self._ask([row["post_id"] for row in rows], states)
        return replace(reread, left_over=rows[0]["unchecked"] - reread.asked if rows else 0)

    @property
    def _scope(self) -> dict[str, Any]:
        return {"subreddit": self.subreddit, **asked_of(self._warehouse.source)}

    def _last_read(self, endings: Sequence[str]) -> dict[Listing, datetime]:
        rows = self._warehouse.query(_LAST_READ, {"subreddit": self.subreddit, "endings": list(endings)}).to_pylist()
        return {Listing(row["listing"], row["time_filter"]): row["read_at"] for row in rows}

    def _to_the_bottom_is_due(self) -> bool:
        last = self._last_read(_TO_THE_BOTTOM).get(NEW)
        return last is None or last + ONCE_A_DAY - tolerance(ONCE_A_DAY) <= self.now()

    def _scheduled(self, maturation: Maturation, now: datetime) -> Iterator[tuple[str, datetime]]:
        """Posts whose score will be read again, and when that is, or was, due."""
        params = {**self._scope, "oldest": now - maturation.give_up, "label_age": maturation.label_age}
        for batch in self._warehouse.batches(_YOUNG, params, size=10_000):
            for row in batch.to_pylist():
                made, last = row["created_at"], row["last_read_at"]
                age = maturation.next_age(None if last is None else last - made, labelled=row["labelled"])
                if age is not None:
                    yield row["post_id"], made + age

    def _store(self, page: Page, window: _Window) -> None:
        """Append a page, without what an earlier page held: a listing moves while it is read."""
        fresh = {post["id"] for post in page.submissions} - window.ids
        with self._warehouse.write() as writer:
            gone = _forgotten(writer, page.submissions)
            page = _only(page, fresh - gone)
            hidden = [pseudonymise(submission, self._key) for submission in page.submissions]
            new = writer.append(
                "raw.submissions", submission_rows(hidden, subreddit=self.subreddit, discovered_at=page.observed_at)
            )
            revise(writer, (Reading(submission, page.observed_at) for submission in hidden))
            sightings = writer.append("raw.sightings", sighting_rows(page, subreddit=self.subreddit))
            observations = writer.append(
                "raw.observations",
                observation_rows(hidden, subreddit=self.subreddit, observed_at=page.observed_at, endpoint="listing"),
            )
            self._mark(writer, page.observed_at, found=fresh - gone)
        window.ids |= fresh - gone
        window.extend(page.submissions)
        window.new += new
        self.new_submissions += new
        self.new_sightings += sightings
        self.new_observations += observations
        self.forgotten += len(fresh & gone)

    def _record(self, listing: Listing, window: _Window, ended: str, requests_before: int) -> ListingRead:
        is_new = listing == NEW
        gap_from, gap_to = window.gap(ended) if is_new else (None, None)
        reading = ListingRead(
            subreddit=self.subreddit,
            listing=listing.name,
            time_filter=listing.time_filter,
            read_at=window.read_at.replace(microsecond=0),
            posts=len(window.ids),
            new_posts=window.new,
            requests=self._client.requests_made - requests_before,
            ended=ended,
            oldest_created_at=min(window.created, default=None),
            newest_created_at=max(window.created, default=None),
            overlapped=window.joined(ended) if is_new else None,
            gap_from=gap_from,
            gap_to=gap_to,
        )
        self.readings.append(reading)
        key = {name: getattr(reading, name) for name in ("subreddit", "listing", "time_filter", "read_at")}
        with self._warehouse.write() as writer:
            # One that was broken off in the same second, as Reddit's clock has it, makes room.
            writer.execute(
                "DELETE FROM raw.listing_reads WHERE subreddit = $subreddit AND listing = $listing "
                "AND time_filter = $time_filter AND read_at = $read_at AND ended IN ('error', 'budget')",
                key,
            )
            writer.append("raw.listing_reads", listing_read_rows([reading]))
        return reading

    def _ask(self, post_ids: Sequence[str], states: Mapping[str, tuple[str | None, bool | None]]) -> Reread:
        """Ask for posts a hundred at a time. A post in one of the states is recorded only if it has left it."""
        asked = missing = doubted = 0
        while asked < len(post_ids) and self.requests_left:
            for page in self._client.info(post_ids[asked : asked + ITEMS_PER_REQUEST]):
                absent = set(page.requested) - {post["id"] for post in page.submissions}
                gone = absent if self._is_credible(page, absent) else set()
                self._store_again(page, states, gone, absent - gone)
                gone |= self._confirmed(absent - gone, page.requested)
                missing += len(gone)
                doubted += len(absent - gone)
                asked += len(page.requested)
        return Reread(asked, missing, doubted, len(post_ids) - asked)

    def _is_credible(self, page: InfoPage, absent: set[str]) -> bool:
        """Whether an answer holds most of the posts that it should, as far as is known.

        One that does not may be broken, of another service, or of a community that nobody is shown at the moment.
        """
        missed = self._warehouse.query(
            "SELECT post_id FROM raw.presence WHERE misses > 0 AND list_contains($asked, post_id)",
            {"asked": list(page.requested)},
        )
        expected = set(page.requested) - set(missed.column("post_id").to_pylist())
        return not absent or (bool(expected) and _holds_most(expected - absent, expected))

    def _confirmed(self, doubted: set[str], asked: Collection[str]) -> set[str]:
        """Ask once more for posts that an answer lacked, together with posts that stood the last time.

        Those that it lacks again are missing if most of the others are in it; else it says nothing.
        """
        if not doubted or not self.requests_left:
            return set()
        ids = {"subreddit": self.subreddit, "asked": list(asked), "controls": _CONTROLS}
        controls = set(self._warehouse.query(_STANDING, ids).column("post_id").to_pylist())
        if not controls:
            return set()
        page = next(iter(self._client.info([*sorted(controls), *sorted(doubted)])))
        found = {post["id"] for post in page.submissions}
        if not _holds_most(controls & found, controls):
            return set()
        gone = doubted.intersection(page.requested) - found
        with self._warehouse.write() as writer:
            self._mark(writer, page.observed_at, found=(), missing=gone)
        return gone

    def _store_again(
        self,
        page: InfoPage,
        states: Mapping[str, tuple[str | None, bool | None]],
        missing: Collection[str],
        doubted: Collection[str],
    ) -> None:
        """Append readings of posts asked for, and which of them are missing."""
        found = {post["id"]: pseudonymise(post, self._key) for post in page.submissions if post["id"] in page.requested}
        rows = observation_rows(found.values(), subreddit=self.subreddit, observed_at=page.observed_at, endpoint="info")
        now = zip(*(rows.column(name).to_pylist() for name in _STATE), strict=True)
        changed = [post_id for post_id, *state in now if post_id not in states or states[post_id] != tuple(state)]
        with self._warehouse.write() as writer:
            # Only what is known: a post may have been forgotten since it was put on the list.
            known = _present(writer, "raw.submissions", page.requested)
            kept = pc.is_in(rows["post_id"], pa.array(sorted(known.intersection(changed)), pa.string()))
            self.new_observations += writer.append("raw.observations", rows.filter(kept))
            revise(writer, (Reading(found[post_id], page.observed_at) for post_id in known & found.keys()))
            self._mark(
                writer,
                page.observed_at,
                found=known & found.keys(),
                missing=known.intersection(missing),
                doubted=known.intersection(doubted),
            )

    def _mark(
        self,
        writer: Writer,
        checked_at: datetime,
        *,
        found: Collection[str],
        missing: Collection[str] = (),
        doubted: Collection[str] = (),
    ) -> None:
        """Write down which posts of this partition an answer held, and which it should have held and did not.

        Of those that are doubted only that they were asked for: they had their turn.
        """
        when = naive_utc(checked_at)
        ids = {"subreddit": self.subreddit, "ids": sorted({*found, *missing, *doubted})}
        own = writer.query(
            "SELECT post_id FROM raw.submissions WHERE subreddit = $subreddit AND post_id IN (SELECT unnest($ids))", ids
        )
        # Two questions: joined, they would go through all posts of the community.
        misses = {
            row["post_id"]: row
            for row in writer.query(
                "SELECT post_id, misses, missing_since FROM raw.presence "
                "WHERE subreddit = $subreddit AND post_id IN (SELECT unnest($ids)) AND misses > 0",
                ids,
            ).to_pylist()
        }
        rows = []
        for post_id in own.column("post_id").to_pylist():
            before = misses.get(post_id, {"misses": 0, "missing_since": when})
            misses_now = before["misses"] + (post_id in missing) if post_id not in found else 0
            rows.append(
                {
                    "post_id": post_id,
                    "subreddit": self.subreddit,
                    "checked_at": when,
                    "misses": misses_now,
                    "missing_since": before["missing_since"] if misses_now else None,
                }
            )
        writer.merge("raw.presence", pa.Table.from_pylist(rows, schema=PRESENCE))


_STATE = ("post_id", "removed_by_category", "author_present")


def _holds_most(found: Collection[str], expected: Collection[str]) -> bool:
    return 2 * len(found) >= len(expected)


def _forgotten(reader: Reader, submissions: Iterable[dict[str, Any]]) -> set[str]:
    """Ids of those posts that were forgotten, or are copies of such posts."""
    shown = {submission["id"]: shown_ids(submission) for submission in submissions}
    tombstones = _present(reader, "raw.tombstones", set().union(*shown.values()))
    return {post_id for post_id, ids in shown.items() if ids & tombstones}


def _present(reader: Reader, table: str, post_ids: Collection[str]) -> set[str]:
    rows = reader.query(
        f"SELECT post_id FROM {table} WHERE post_id IN (SELECT unnest($ids))", {"ids": sorted(post_ids)}
    )
    return set(rows.column("post_id").to_pylist())


def _only(page: Page, ids: Collection[str]) -> Page:
    """The page with these posts only, each at its first place."""
    placed: dict[str, tuple[dict[str, Any], int]] = {}
    for submission, rank in zip(page.submissions, page.ranks, strict=True):
        if submission["id"] in ids:
            placed.setdefault(submission["id"], (submission, rank))
    return replace(
        page,
        submissions=tuple(submission for submission, _ in placed.values()),
        ranks=tuple(rank for _, rank in placed.values()),
    )

"""Arctic Shift, an archive of Reddit that needs no key: posts by time and by id, and what it knows of communities.

Described at github.com/ArthurHeitmann/arctic_shift, api/README.md. Each post is read the moment it is made, when its
score is 1, and once more some 36 hours later; `_meta` says so. The service pages by time alone, so a page begins with
the last second of the one before, and what was given already is left out. Whether `after` and `before` include their
own second is not documented: nothing here depends on it.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from redpop_assets.errors import RedditError, SettingsError, SubredditUnavailable
from redpop_assets.literals import exceeds_levels
from redpop_assets.sources.arctic_shift.connection import Connection, QueryTimedOut
from redpop_assets.sources.arctic_shift.pace import Pace
from redpop_assets.sources.arctic_shift.service import Service, created, given_up, is_named
from redpop_assets.sources.typed import moment
from redpop_assets.sources.values import parse_post_id
from redpop_assets.storage.shared_text import SharedText

log = logging.getLogger(__name__)

FIRST_SECOND: Final = int(datetime(2005, 6, 1, tzinfo=UTC).timestamp())
"""Reddit has no older post."""

IDS_PER_REQUEST: Final = 500
"""Most ids that the service takes in one question."""

COMMUNITIES_PER_REQUEST: Final = 100
"""Communities asked for at once; the service takes 1,000, but servers in between may refuse so long an address."""

LEAST_AUTO: Final = 100
"""Fewest posts that the service puts into a page of its own choice (`limit=auto`) while there are more."""

SMALLEST_WINDOW, SMALLEST_PAGE, SMALLEST_BATCH = 60, 25, 25
"""Seconds, posts and ids below which no query is made smaller when the service gives it up."""

_SHRINKING: Final = 4
_GROWING: Final = 2
_SUCCESSES_BEFORE_TRYING_AGAIN: Final = 16
_ATTEMPTS_AT_SMALLEST: Final = 3
_TELLS_TIES_APART: Final = ("over_18", "spoiler")  # filters of the service that split the posts of one second
_SEARCH: Final = "api/posts/search"
_SETTLED: Final = 86_400.0  # seconds after which nothing more is expected of a time


@dataclass(frozen=True, slots=True)
class PostPage:
    """Posts of one community, in the order in which they were made.

    Attributes:
        submissions: raw objects of the archive, none of them on an earlier page of this reading; may be empty.
        observed_at: when the service answered, on its clock (aware, UTC, whole seconds). When the archive read each
            post is in the object: `retrieved_on` and `_meta.retrieved_2nd_on`.
        complete_to: everything that the archive holds from before this moment has been given (aware, UTC); where to
            go on from.
    """

    submissions: tuple[dict[str, Any], ...]
    observed_at: datetime
    complete_to: datetime


@dataclass(frozen=True, slots=True)
class IdPage:
    """One answer to a question for posts by id.

    Attributes:
        requested: the ids asked for, without `t3_`.
        submissions: raw objects, possibly fewer than asked for: the archive does not hold everything.
        observed_at: when the service answered (aware, UTC, whole seconds).
    """

    requested: tuple[str, ...]
    submissions: tuple[dict[str, Any], ...]
    observed_at: datetime


class ArcticShiftClient:
    """Asks the archive; paced, patient with a busy service, and bounded by one answer in memory.

    Not safe for use by several threads, nor inside a running event loop. Close it, or use it as a context manager.

    Args:
        url: of the service: scheme and host, such as https://arctic-shift.photon-reddit.com.
        user_agent: names this program and whoever runs it.
        requests_per_second: sent at most, by all who share the `pace_file`. The service welcomes "a couple".
        timeout: longest silence of the service (seconds).
        pace_file: lets processes, or machines, keep one pace together; None for this client alone.
        page_size: posts asked for at once, 1 to 100; None leaves it to the service, which gives 100 to 1,000.
        clock: Unix seconds of this machine, by which the pace is kept.
        sleep: pauses the caller (seconds).

    Raises:
        SettingsError: one of these cannot be used.
    """

    def __init__(
        self,
        *,
        url: str,
        user_agent: str,
        requests_per_second: float = 1.0,
        timeout: float = 30.0,
        pace_file: Path | SharedText | None = None,
        page_size: int | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not (math.isfinite(requests_per_second) and requests_per_second > 0):
            raise SettingsError(f"The archive is asked {requests_per_second} times a second; that has to be positive.")
        if page_size is not None and not 1 <= page_size <= LEAST_AUTO:
            raise SettingsError(f"The archive gives 1 to {LEAST_AUTO} posts at once, not {page_size}.")
        self._page_size = page_size
        self._pace = Pace(requests_per_second, pace_file, clock=clock, sleep=sleep)
        self._connection = Connection(url, user_agent, self._pace, timeout=timeout, sleep=sleep)
        self._service = Service(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the service."""
        self._connection.close()

    @property
    def requests_made(self) -> int:
        """Requests sent so far, repeated attempts included."""
        return self._connection.requests_made

    @property
    def records_dropped(self) -> int:
        """What the archive sent so far that is no record of what was asked for."""
        return self._service.records_dropped

    @property
    def seconds_waited(self) -> float:
        """Time spent so far keeping the pace, obeying the rate limit and before repeated attempts."""
        return self._pace.seconds_waited + self._connection.seconds_paused

    def now(self) -> datetime:
        """The time on the service's clock (aware, UTC): this machine's, corrected by the last answer's Date header.

        Before the first answer one request is made to learn it.

        Raises:
            RedditError: as `by_ids`, if that first request fails.
        """
        if not self._connection.answered():
            self._service.rows("api/posts/ids", {"ids": "1"})
        return self._connection.now()

    def posts(self, subreddit: str, *, after: datetime | None, before: datetime | None = None) -> Iterator[PostPage]:
        """Read the posts of a community made at or after one moment and before another, the oldest first.

        Each post is given once. A query that the service gives up is asked again for a shorter time and a smaller
        page, which grow again. The last page may be empty and say only how far the reading came; there is always one.

        Args:
            subreddit: name of one community, without `r/`.
            after: aware; None begins with the first post.
            before: aware; None goes on to the newest.

        Raises (while iterating; pages already yielded stay valid):
            SubredditUnavailable: the archive knows no such community.
            RedditBusy: it gives up, refuses or fails again and again, or cannot be reached.
            RedditError: an answer that cannot be used.
        """
        reading = _Reading(
            self._service,
            subreddit,
            FIRST_SECOND if after is None else _second(after),
            None if before is None else _second(before),
            self._page_size,
        )
        given = 0
        for page in reading.pages():
            given += len(page.submissions)
            if not page.submissions and not given and after is None and self.community(subreddit) is None:
                raise SubredditUnavailable(
                    f"The archive knows no community r/{subreddit}: check the spelling, or take {subreddit} out of "
                    "REDPOP_SUBREDDITS; posts already stored stay."
                )
            yield page

    def by_ids(self, ids: Sequence[str]) -> Iterator[IdPage]:
        """Read posts by id, up to 500 per request, in the order given.

        Args:
            ids: base36, with or without `t3_`.

        Raises (while iterating; pages already yielded stay valid):
            RedditBusy: the service gives up, refuses or fails again and again, or cannot be reached.
            RedditError: an answer that cannot be used.
        """
        wanted = [post_id.removeprefix("t3_") for post_id in ids]
        size, failures = IDS_PER_REQUEST, 0
        while wanted:
            batch = tuple(wanted[:size])
            try:
                rows, at = self._service.rows("api/posts/ids", {"ids": ",".join(filter(parse_post_id, batch)) or "1"})
            except QueryTimedOut as failure:
                failures += 1
                if size <= SMALLEST_BATCH and failures >= _ATTEMPTS_AT_SMALLEST:
                    raise given_up(failure) from failure
                size = max(SMALLEST_BATCH, size // 2)
                self._service.wait(failures)
                continue
            failures, size = 0, min(IDS_PER_REQUEST, size * _GROWING)
            found = {row["id"]: row for row in self._service.posts(rows)}
            self._service.drop("posts that were not asked for", len(found.keys() - set(batch)))
            yield IdPage(batch, tuple(found[post_id] for post_id in dict.fromkeys(batch) if post_id in found), at)
            wanted = wanted[len(batch) :]

    def community(self, name: str) -> Mapping[str, Any] | None:
        """What the archive holds of a community, as Reddit's `about` names it, with `retrieved_on`; None if nothing.

        Raises:
            RedditBusy: the service gives up, refuses or fails again and again, or cannot be reached.
            RedditError: an answer that cannot be used.
        """
        try:
            rows, _ = self._service.patient_rows("api/subreddits/search", {"subreddit": name, "limit": "25"})
        except SubredditUnavailable:
            return None
        return next(
            (row for row in rows if isinstance(row, dict) and is_named(row.get("display_name"), name)),
            None,
        )

    def rules(self, names: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The rules of communities, each list in the order that its moderators gave it.

        Returns:
            By name as it was asked for; a community of which the archive has no rules is left out. A rule has Reddit's
            fields (`kind`, `short_name`, `description`, `violation_reason`, `priority`, `created_utc`) and
            `retrieved_on`, when the archive read it.

        Raises:
            RedditBusy: the service gives up, refuses or fails again and again, or cannot be reached.
            RedditError: an answer that cannot be used.
        """
        found: dict[str, Sequence[Mapping[str, Any]]] = {}
        wanted = list(dict.fromkeys(names))
        for start in range(0, len(wanted), COMMUNITIES_PER_REQUEST):
            batch = wanted[start : start + COMMUNITIES_PER_REQUEST]
            rows, _ = self._service.patient_rows("api/subreddits/rules", {"subreddits": ",".join(batch)})
            for row in rows:
                of = row.get("subreddit") if isinstance(row, dict) else None
                name = next((name for name in batch if is_named(of, name)), "")
                rules = row.get("rules") if name else None
                if not isinstance(rules, list):
                    self._service.drop("answers that are no rules of a community asked for", 1)
                    continue
                usable = [rule for rule in rules if isinstance(rule, dict) and not exceeds_levels(rule)]
                self._service.drop("rules that are no objects", len(rules) - len(usable))
                usable.sort(key=_priority)
                found[name] = [{**rule, "retrieved_on": row.get("retrieved_on")} for rule in usable]
        return found

    def subscribers(self, name: str, *, after: datetime | None) -> Sequence[tuple[datetime, int]]:
        """How many members a community had: one pair of a day (its midnight, UTC) and a number for each day known.

        Args:
            name: of one community, without `r/`.
            after: aware; the first day is the one it lies in. None begins with the first day known.

        Raises:
            RedditBusy: the service gives up, refuses or fails again and again, or cannot be reached.
            RedditError: an answer that cannot be used.
        """
        first = None if after is None else _midnight(after)
        query = {"key": f"r/{name}/subscribers", "precision": "day"}
        if first is not None:
            query["after"] = str(int(first.timestamp()) - 1)
        try:
            rows, _ = self._service.patient_rows("api/time_series", query)
        except SubredditUnavailable:
            return []
        days: dict[datetime, int] = {}
        for row in rows:
            point = _point(row)
            if point is None:
                self._service.drop("points of a time series without a day or a number", 1)
            elif first is None or point[0] >= first:
                days[point[0]] = point[1]
        return sorted(days.items())


class _Reading:
    """One walk through the posts of a community, second by second where it must."""

    def __init__(self, service: Service, subreddit: str, first: int, stop: int | None, page_size: int | None) -> None:
        self._service, self._subreddit = service, subreddit
        self._first, self._stop = first, stop
        self._page_size = page_size
        self._limit = page_size  # of the next query; None leaves it to the service
        self._window: int | None = None  # seconds of the next query; None asks for everything to the end
        self._largest = 0
        self._failures = self._successes = 0
        self._too_long = self._too_many = math.inf  # seconds and posts of the query that was given up last
        # Taken from a second to have it in an answer, until the service has shown that it counts it in; and its end.
        self._before_first, self._before_end = 1, 0
        self._observed_at = datetime.fromtimestamp(first, UTC)

    def pages(self) -> Iterator[PostPage]:
        cursor, reached = self._first, self._first
        seen: set[str] = set()  # of the second at the cursor
        while self._stop is None or cursor < self._stop:
            end, limit = self._end_of_window(cursor), self._limit
            rows = self._ask(cursor, end)
            if rows is None:
                continue
            self._require_order(rows, cursor)
            inside = [(at, row) for row in rows if (at := created(row)) is not None and _lies(at, cursor, end)]
            last = max((math.floor(at) for at, _ in inside), default=cursor)
            if posts := self._new(inside, seen):
                reached = last
                yield self._page(posts, reached)
            at_last = {row["id"] for at, row in inside if at >= last and isinstance(row.get("id"), str)}
            more, seen = bool(at_last - seen), at_last | (seen if last == cursor else set())
            if last > cursor:
                cursor = last
            elif inside and self._is_full(rows, limit):
                # Nothing but posts of one second: what else it holds comes another way, and the next one follows.
                if rest := self._rest_of_second(cursor, seen):
                    yield self._page(rest, cursor)
                cursor, seen = cursor + 1, set()
            elif more or (not inside and self._learn_first(rows, cursor)):
                continue
            elif end is None or end == self._stop:
                break
            else:
                cursor, seen = end, set()
        yield self._page([], self._settled(reached))

    def _end_of_window(self, cursor: int) -> int | None:
        if self._window is None:
            return self._stop
        end = cursor + self._window
        newest = self._stop if self._stop is not None else int(self._service.connection.now().timestamp()) + 1
        # The last window is open where the reading is: the service's clock may be behind its posts.
        return end if end < newest else self._stop

    def _ask(self, cursor: int, end: int | None) -> list[Any] | None:
        """The rows of one page; None if the service gave the query up, and a smaller one is to be tried."""
        try:
            rows, self._observed_at = self._service.rows(_SEARCH, self._query(cursor, end, limit=self._limit))
        except QueryTimedOut as failure:
            self._shrink(cursor, end, failure)
            return None
        self._failures = 0
        self._largest = max(self._largest, len(rows))
        self._grow(cursor)
        return rows

    def _query(self, first: int, end: int | None, *, limit: int | None, sort: str = "asc") -> dict[str, str]:
        query = {
            "subreddit": self._subreddit,
            "sort": sort,
            "limit": "auto" if limit is None else str(limit),
            "after": str(first - self._before_first),
        }
        return query if end is None else {**query, "before": str(end - self._before_end)}

    def _shrink(self, cursor: int, end: int | None, failure: QueryTimedOut) -> None:
        """Make the next query smaller, after a pause.

        Raises:
            RedditBusy: it is as small as can be.
        """
        span = (end if end is not None else int(self._service.connection.now().timestamp()) + 1) - cursor
        limit = LEAST_AUTO * 2 if self._limit is None else self._limit
        self._failures, self._successes = self._failures + 1, 0
        self._too_long, self._too_many = span, limit
        if span <= SMALLEST_WINDOW and limit <= SMALLEST_PAGE and self._failures >= _ATTEMPTS_AT_SMALLEST:
            raise given_up(failure) from failure
        log.warning("%s A smaller one is tried.", failure)
        self._window = max(SMALLEST_WINDOW, span // _SHRINKING)
        self._limit = max(min(SMALLEST_PAGE, limit), limit // 2)
        self._service.wait(self._failures)

    def _grow(self, cursor: int) -> None:
        """Make the next query larger, up to what was tried first; what was too large is tried again after a while."""
        self._successes += 1
        if self._successes >= _SUCCESSES_BEFORE_TRYING_AGAIN:
            self._successes, self._too_long, self._too_many = 0, math.inf, math.inf
        if self._limit is not None and self._limit != self._page_size:
            larger = self._limit * _GROWING
            if larger < self._too_many:
                self._limit = larger if larger <= (self._page_size or LEAST_AUTO) else self._page_size
        if self._window is not None:
            if self._window * _GROWING < self._too_long:
                self._window *= _GROWING
            if cursor + self._window > self._service.connection.now().timestamp():
                self._window = None

    def _is_full(self, rows: Sequence[Any], limit: int | None) -> bool:
        """Whether a page may have left posts out: the service does not say how many it would have given at most."""
        return len(rows) >= (limit or LEAST_AUTO) or 1 < len(rows) >= self._largest

    def _require_order(self, rows: Sequence[Any], cursor: int) -> None:
        """Refuse a page from which nobody can tell where to go on.

        Raises:
            RedditError: its posts are not in order, not of the time asked for, or say no time.
        """
        times = [at for row in rows if (at := created(row)) is not None]
        if rows and not times:
            problem = "without their time"
        elif any(later < earlier for earlier, later in pairwise(times)):
            problem = "in another order than was asked for"
        elif times and times[0] < cursor - self._before_first:
            problem = "of another time than was asked for"
        else:
            self._service.drop("records without the time of a post", len(rows) - len(times))
            return
        raise RedditError(
            f"The archive gave posts of r/{self._subreddit} {problem}: check REDPOP_ARCTIC_SHIFT_URL; if it is right "
            "and this lasts, please report it."
        )

    def _learn_first(self, rows: Sequence[Any], cursor: int) -> bool:
        """Whether a page held only the second before the one asked for, which is then not asked for any more."""
        if self._before_first and any(created(row) == cursor - self._before_first for row in rows):
            self._before_first = 0
            return True
        return False

    def _new(self, inside: Sequence[tuple[float, Any]], seen: set[str]) -> list[dict[str, Any]]:
        """The posts that were not given before."""
        rows: dict[Any, Any] = {}
        for _, row in inside:
            post_id = row.get("id")
            if not isinstance(post_id, str):
                rows[id(row)] = row  # for the service to count
            elif post_id not in seen:
                rows.setdefault(post_id, row)
        return self._service.posts(rows.values(), self._subreddit)

    def _rest_of_second(self, second: int, seen: set[str]) -> list[dict[str, Any]]:
        """Posts of a second beyond those of a full page: from its other end, and split by what the service filters."""
        found: dict[str, Any] = {}
        if not self._split_second(second, {}, list(_TELLS_TIES_APART), found):
            log.warning(
                "r/%s has more posts of one second (%s UTC) than the archive gives at once; import its dump to have "
                "them all.",
                *(self._subreddit, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"),
            )
        return self._service.posts((row for key, row in found.items() if key not in seen), self._subreddit)

    def _split_second(self, second: int, filters: dict[str, str], left: list[str], found: dict[str, Any]) -> bool:
        """Gather the posts of a second that pass the filters; returns whether they are all there."""
        ends: list[set[str]] = []
        for sort in ("asc", "desc"):
            rows = self._rows_of_second(second, filters, sort)
            posts = {row["id"]: row for row in rows if _is_of(row, second) and isinstance(row.get("id"), str)}
            found |= posts
            ends.append(set(posts))
            if len(rows) < LEAST_AUTO:
                return True
        if ends[0] & ends[1]:
            return True  # they meet
        if not left:
            return False
        parts = [
            self._split_second(second, {**filters, left[0]: value}, left[1:], found) for value in ("false", "true")
        ]
        return all(parts)

    def _rows_of_second(self, second: int, filters: Mapping[str, str], sort: str) -> list[Any]:
        while True:
            query = {**self._query(second, second + 1, limit=None, sort=sort), **filters}
            rows, self._observed_at = self._service.patient_rows(_SEARCH, query)
            if not any(_is_of(row, second) for row in rows):
                if self._learn_first(rows, second):
                    continue
                if not self._before_end and any(created(row) == second + 1 for row in rows):
                    self._before_end = 1
                    continue
            return rows

    def _page(self, posts: list[dict[str, Any]], reached: int) -> PostPage:
        # A post from the future must not keep those of the meantime from being asked for.
        reached = max(self._first, min(reached, int(self._observed_at.timestamp())))
        return PostPage(tuple(posts), self._observed_at, datetime.fromtimestamp(reached, UTC))

    def _settled(self, reached: int) -> int:
        """How far a finished reading came: to its end where that is long past, else to its last post.

        Posts reach the archive minutes after they were made, hours when it was down.
        """
        if self._stop is not None and self._stop <= self._observed_at.timestamp() - _SETTLED:
            return self._stop
        return reached


def _lies(at: float, first: int, end: int | None) -> bool:
    return first <= at and (end is None or at < end)


def _is_of(row: Any, second: int) -> bool:
    at = created(row)
    return at is not None and second <= at < second + 1


def _second(value: datetime) -> int:
    """The first whole second that is not before a moment."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return max(FIRST_SECOND, math.ceil(value.timestamp()))


def _midnight(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _priority(rule: Mapping[str, Any]) -> float:
    priority = rule.get("priority")
    return float(priority) if isinstance(priority, int | float) else math.inf


def _point(row: Any) -> tuple[datetime, int] | None:
    """A day and a number of members; None if a row of a time series holds neither."""
    if not isinstance(row, dict):
        return None
    value = row.get("value")
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        day = _midnight(moment(row.get("date"), day_is_enough=True))
    except (ValueError, OverflowError):
        return None
    return (day, round(number)) if math.isfinite(number) and number >= 0 else None

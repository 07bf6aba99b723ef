"""The local Reddit as Arctic Shift archives it: the same posts behind that service's API, under /arctic_shift.

Every post is read some seconds after it was made, when its score is 1, and once more some 36 hours later, if it is
still to be had; what the second reading renews and what it notes in `_meta` is as the archive describes it
(github.com/ArthurHeitmann/arctic_shift, api/README.md and file_content_explanations.md). So what the world knows of
its posts holds here too, as far as such an archive can know it.

`Traits` are what the service does not promise and a client has to bear; the panel changes them under
/sandbox/arctic_shift.
"""

import json
import re
import threading
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from redpop_assets.errors import SettingsError
from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.communities import about_of, rules_of
from redpop_assets.sandbox.fates import Fates
from redpop_assets.sandbox.odd_posts import shown
from redpop_assets.sandbox.world import Post, World

PATH = "/arctic_shift"
"""Where the archive's `/api` lies on the sandbox's server."""

SECOND_READING = 36 * 3600.0
"""Seconds after which a post is read again; up to half an hour later."""

RENEWED: Final = (
    *("archived", "downs", "hide_score", "locked", "num_comments", "num_crossposts", "over_18", "score", "spoiler"),
    *("stickied", "ups", "upvote_ratio"),
)
"""The fields that the second reading renews."""

GIVEN_UP: Final = ("Query timed out", "Timeout. Maybe slow down a bit")
"""How the archive says that a query takes too long, or that there are too many of them."""

_DAY: Final = 86_400.0
_LATEST_FIRST_READING: Final = 20.0
_SPREAD_OF_SECOND: Final = 1800.0
_OFFSET: Final = re.compile(r"(\d+)\s*(y|year|month|m|d|day|h|hour|min|minute|s|sec|second)s?")
_OFFSET_SECONDS: Final = {
    **dict.fromkeys(("y", "year"), 365 * _DAY),
    **dict.fromkeys(("month", "m"), 30 * _DAY),
    **dict.fromkeys(("d", "day"), _DAY),
    **dict.fromkeys(("h", "hour"), 3600.0),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("s", "sec", "second"), 1.0),
}
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "yes", "y"), True),
    **dict.fromkeys(("false", "0", "no", "n"), False),
}
_SEARCHED: Final = frozenset(
    {"subreddit", "author", "after", "before", "limit", "sort", "sort_type", "over_18", "spoiler", "fields", "md2html"}
)
_PRECISIONS: Final = {"day": _DAY, "hour": 3600.0, "week": 7 * _DAY}


@dataclass(frozen=True, slots=True)
class Traits:
    """How the archive behaves.

    Attributes:
        least_auto, most_auto: bounds of what `limit=auto` gives.
        inclusive: whether `after` and `before` include their own second.
        longest_window: seconds of a search beyond which it times out; None bears any.
        largest_page: posts of a search beyond which it times out; None bears any.
        requests_per_minute: what its rate limit allows.
        late: share of posts that the first reading misses; they turn up at the second.
        restored: share of posts that are removed at the first reading and stand at the second.
        edited: share of texts that differ at the second reading.
        times: how `created_utc` is written: int, float or text.
        unknown: whether a search for a community that it does not know is an error rather than an empty list.
    """

    least_auto: int = 100
    most_auto: int = 1000
    inclusive: bool = False
    longest_window: float | None = None
    largest_page: int | None = None
    requests_per_minute: int = 100_000
    late: float = 0.002
    restored: float = 0.01
    edited: float = 0.04
    times: str = "int"
    unknown: bool = False

    def changed(self, changes: dict[str, Any]) -> "Traits":
        """These traits with some of another value.

        Raises:
            SettingsError: there is no such trait, or it cannot have that value.
        """
        known = {field.name: getattr(Traits, field.name, None) for field in fields(self)}
        if wrong := sorted(changes.keys() - known.keys()):
            raise SettingsError(f"There is no trait {', '.join(wrong)}; choose from {', '.join(known)}.")
        traits = replace(self, **changes)
        numbers = [value for name, value in asdict(traits).items() if name != "times" and value is not None]
        if not all(isinstance(value, int | float) and value >= 0 for value in numbers) or traits.times not in _WRITTEN:
            raise SettingsError(f"traits are numbers from 0, true or false, and times one of {', '.join(_WRITTEN)}")
        if not 1 <= traits.least_auto <= traits.most_auto:
            raise SettingsError("least_auto is at least 1 and at most most_auto")
        return traits


_WRITTEN: Final[dict[str, Callable[[float], Any]]] = {"int": int, "float": float, "text": lambda at: str(int(at))}


class _Refused(Exception):
    """A query that the archive refuses, in its words."""


class ArcticShift:
    """The archive of one world."""

    def __init__(
        self, world: World, clock: Clock, chaos: Chaos, fates: Fates, base_url: str, traits: Traits | None = None
    ) -> None:
        self._world, self._clock, self._chaos, self._fates = world, clock, chaos, fates
        self._base_url = base_url
        self._traits = traits or Traits()
        self._lock = threading.Lock()
        self._asked: deque[float] = deque()
        self._answers = 0
        self._shares: dict[tuple[str, str], float] = {}

    def routes(self) -> list[Route]:
        """The endpoints of the service, and the panel's of its traits."""
        endpoints = {
            "posts/search": self._search,
            "posts/ids": self._by_ids,
            "subreddits/search": self._communities,
            "subreddits/rules": self._rules,
            "time_series": self._time_series,
        }
        return [
            *(Route(f"{PATH}/api/{path}", self._answering(answer)) for path, answer in endpoints.items()),
            Route("/sandbox/arctic_shift", self.show_traits, methods=["GET"]),
            Route("/sandbox/arctic_shift", self.change_traits, methods=["POST"]),
        ]

    def show_traits(self, _request: Request) -> Response:
        """How the archive behaves."""
        return JSONResponse(asdict(self._traits))

    async def change_traits(self, request: Request) -> Response:
        """Make it behave otherwise: {"longest_window": 86400, "inclusive": true}."""
        try:
            changes = json.loads(await request.body())
            if not isinstance(changes, dict):
                raise SettingsError("send an object of traits")
            self._traits = self._traits.changed(changes)
        except (ValueError, TypeError, SettingsError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return self.show_traits(request)

    def _answering(self, answer: Callable[[dict[str, str], float], list[Any]]) -> Callable[[Request], Response]:
        """An endpoint: the rate limit, what the query is refused for, or its answer."""

        def respond(request: Request) -> Response:
            now = float(int(self._clock.seconds()))
            request.state.now = now
            allowed, headers = self._spend()
            if not allowed:
                return error("Too many requests", 429, {**headers, "retry-after": headers["x-ratelimit-reset"]})
            try:
                return JSONResponse({"data": answer(dict(request.query_params), now)}, headers=headers)
            except TimeoutError:
                return error(GIVEN_UP[self._answers % 2], 422, headers)
            except _Refused as refusal:
                return error(str(refusal), 400, headers)

        return respond

    def _spend(self) -> tuple[bool, dict[str, str]]:
        """Count one request of the last minute: whether it is allowed, and the headers that say so."""
        with self._lock:
            now, most = time.monotonic(), self._traits.requests_per_minute
            while self._asked and self._asked[0] <= now - 60:
                self._asked.popleft()
            allowed = len(self._asked) < most
            if allowed:
                self._asked.append(now)
                self._answers += 1
            reset = max(1, round(60 - (now - self._asked[0]))) if self._asked else 60
            return allowed, {
                "x-ratelimit-limit": str(most),
                "x-ratelimit-remaining": str(most - len(self._asked)),
                "x-ratelimit-reset": str(reset),
            }

    def _search(self, query: dict[str, str], now: float) -> list[Any]:
        for name in query:
            if name not in _SEARCHED:
                raise _Refused(f"Unknown query parameter: '{name}'")
        wanted = query.get("subreddit", "").removeprefix("r/")
        if not wanted:
            raise _Refused("At least one of 'subreddit' or 'author' is required")
        after, before = (_date(query[name], name, now) if query.get(name) else None for name in ("after", "before"))
        limit, most = self._limit(query.get("limit", "25"))
        sort = query.get("sort", "desc")
        if sort not in ("asc", "desc"):
            raise _Refused("'sort' must be one of: asc, desc")
        subreddit = self._world.subreddit(wanted)
        if subreddit is None:
            if self._traits.unknown:
                raise _Refused(f"Subreddit '{wanted}' not found")
            return []
        posts = [post for post in self._fates.posts(subreddit, now) if self._first_reading(post) <= now]
        self._bear(posts, after, before, now, limit)
        first = self._cut(posts, after, bisect_right, bisect_left) if after is not None else 0
        last = self._cut(posts, before, bisect_left, bisect_right) if before is not None else len(posts)
        found = posts[first:last] if sort == "asc" else posts[first:last][::-1]
        flags = {name: _boolean(query[name], name) for name in ("over_18", "spoiler") if name in query}
        records = (self._record(post, now) for post in found)
        matching = (record for record in records if all(record[name] == value for name, value in flags.items()))
        return [_chosen(record, query) for record, _ in zip(matching, range(most), strict=False)]

    def _limit(self, text: str) -> tuple[int, int]:
        """What was asked for at most, and how many posts are given."""
        traits = self._traits
        if text == "auto":
            span = traits.most_auto - traits.least_auto + 1
            return traits.least_auto, traits.least_auto + (self._answers * 7919) % span
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
            raise _Refused("'limit' must be between 1 and 100, or 'auto'")
        return int(text), int(text)

    def _bear(self, posts: Sequence[Post], after: float | None, before: float | None, now: float, limit: int) -> None:
        """Give a query up that is too large; what lies before the first post and after the last costs nothing.

        Raises:
            TimeoutError: it is.
        """
        traits = self._traits
        if traits.largest_page is not None and limit > traits.largest_page:
            raise TimeoutError
        if traits.longest_window is not None and posts:
            begins = max(after or 0.0, posts[0].created)
            if min(before or now, now) - begins > traits.longest_window:
                raise TimeoutError

    def _cut(
        self,
        posts: Sequence[Post],
        at: float,
        exclusive: Callable[..., int],
        inclusive: Callable[..., int],
    ) -> int:
        return (inclusive if self._traits.inclusive else exclusive)(posts, at, key=lambda post: post.created)

    def _by_ids(self, query: dict[str, str], now: float) -> list[Any]:
        ids = [text.strip().lower().removeprefix("t3_") for text in query.get("ids", "").split(",") if text.strip()]
        if not ids:
            raise _Refused("'ids' is required")
        if len(ids) > 500:
            raise _Refused("'ids' must contain at most 500 items")
        for post_id in ids:
            if not re.fullmatch(r"[a-z0-9]+", post_id):
                raise _Refused(f"'ids' contains an invalid ID: {post_id}")
        found = (self._world.find(post_id, now) or self._fates.find(post_id, now) for post_id in dict.fromkeys(ids))
        return [_chosen(self._record(post, now), query) for post in found if post and self._first_reading(post) <= now]

    def _communities(self, query: dict[str, str], now: float) -> list[Any]:
        wanted, prefix = query.get("subreddit", "").removeprefix("r/"), query.get("subreddit_prefix", "")
        if not wanted and not prefix:
            names = list(self._world.subreddits)
        elif wanted:
            names = [name for name in self._world.subreddits if name.lower() == wanted.lower()]
        else:
            names = [name for name in self._world.subreddits if name.lower().startswith(prefix.lower())]
        return [_chosen(self._about(name, now), query) for name in names]

    def _rules(self, query: dict[str, str], now: float) -> list[Any]:
        names = (
            (self._world.subreddit(name.strip().removeprefix("r/")) for name in query["subreddits"].split(","))
            if (query.get("subreddits"))
            else ()
        )
        read_at = self._read_of_communities(now)
        return [
            {"subreddit": name, "retrieved_on": read_at, "rules": rules_of(self._world, name)} for name in names if name
        ]

    def _time_series(self, query: dict[str, str], now: float) -> list[Any]:
        parts = re.fullmatch(r"r/([^/]+)/(subscribers|posts/count|posts/sum_score)", query.get("key", ""))
        step = _PRECISIONS.get(query.get("precision", ""))
        if parts is None or step is None:
            raise _Refused("'key' or 'precision' is invalid")
        subreddit = self._world.subreddit(parts[1])
        if subreddit is None:
            return []
        begins = self._world.epoch.timestamp() - self._world.history.total_seconds()
        after = _date(query["after"], "after", now) if query.get("after") else begins
        before = _date(query["before"], "before", now) if query.get("before") else now
        first = int(max(after, begins) // step + (after % step > 0 and after > begins)) * int(step)
        moments = range(first, int(min(before, now)) + 1, int(step))
        if parts[2] == "subscribers":
            return [{"date": at, "value": self._world.subscribers(subreddit, min(at + step, now))} for at in moments]
        posts = self._fates.posts(subreddit, now)
        starts = [post.created for post in posts]
        slices = ((at, posts[bisect_left(starts, at) : bisect_left(starts, at + step)]) for at in moments)
        if parts[2] == "posts/count":
            return [{"date": at, "value": len(some)} for at, some in slices]
        return [{"date": at, "value": sum(self._record(post, now)["score"] for post in some)} for at, some in slices]

    def _about(self, name: str, now: float) -> dict[str, Any]:
        """A community as of the archive's last look."""
        read_at = self._read_of_communities(now)
        meta = {
            "earliest_post_at": int(self._world.post(name, 0).created),
            "num_posts": self._world.count(name, read_at),
            "num_posts_updated_at": read_at,
        }
        return {"_meta": meta, **about_of(self._world, name, read_at), "retrieved_on": read_at}

    def _read_of_communities(self, now: float) -> int:
        """When the archive last looked at communities: every thirty days."""
        epoch = self._world.epoch.timestamp()
        return int(epoch + (now - epoch) // (30 * _DAY) * 30 * _DAY) - 3600

    def _share(self, purpose: str, key: str) -> float:
        """A number from 0 to below 1 that only the seed, a purpose and a key decide."""
        share = self._shares.get((purpose, key))
        if share is None:
            digest = self._world.digest(key, f"archive {purpose}", 0)
            share = self._shares[purpose, key] = int.from_bytes(digest[:7], "big") / 2**56
        return share

    def _reads(self, post: Post) -> tuple[float, float]:
        """When a post is read for the first and for the second time, in whole seconds."""
        first = post.created + 1 + int(_LATEST_FIRST_READING * self._share("first", post.id))
        return first, post.created + SECOND_READING + int(_SPREAD_OF_SECOND * self._share("second", post.id))

    def _first_reading(self, post: Post) -> float:
        """When a post comes into the archive."""
        first, second = self._reads(post)
        return second if self._share("late", post.id) < self._traits.late else first

    def _record(self, post: Post, now: float) -> dict[str, Any]:
        """A post as the archive holds it at `now`."""
        traits = self._traits
        first, second = self._reads(post)
        late = self._first_reading(post) == second
        at = second if late else first
        record = shown(self._world, self._fates, self._chaos, post, at, self._base_url)
        record.pop("selftext_html", None)
        record["created_utc"] = record["created"] = _WRITTEN[traits.times](post.created)
        record["retrieved_on"] = int(at)
        then = self._fates.of(post, second)
        if not late:
            record |= {"score": 1, "ups": 1, "upvote_ratio": 1.0, "num_comments": 0, "num_crossposts": 0}
            if then.removed is None and self._share("restored", post.id) < traits.restored:
                record["removed_by_category"] = "automod_filtered"
                record["selftext"] = "[removed]" if record["is_self"] else record["selftext"]
        if now < second or (then.missing and not late):
            return record
        again = shown(self._world, self._fates, self._chaos, post, second, self._base_url)
        meta: dict[str, Any] = {"retrieved_2nd_on": int(second)}
        if late:
            meta["note"] = "initially_unavailable"
        elif then.removed and record["removed_by_category"] is None:
            meta |= {"was_deleted_later": True, "removal_type": then.removed}
        elif then.removed is None and record["removed_by_category"] is not None:
            meta |= {"was_initially_deleted": True, "removal_type": record["removed_by_category"]}
            record |= {"removed_by_category": None, "selftext": again["selftext"]}
        if again["is_self"] and then.removed is None and self._share("edited", post.id) < traits.edited:
            meta["is_edited"] = True
        return {**record, **{name: again[name] for name in RENEWED if name in again}, "_meta": meta}


def _date(text: str, name: str, now: float) -> float:
    """A moment in any of the archive's spellings, as Unix seconds."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        number = float(text)
        return number / 1000 if number > 1e11 else number
    if offset := _OFFSET.fullmatch(text):
        return now - int(offset[1]) * _OFFSET_SECONDS[offset[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise _Refused(f"'{name}' is not a valid date") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _boolean(text: str, name: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise _Refused(f"'{name}' must be a boolean")
    return _BOOLEANS[text.lower()]


def _chosen(record: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """A record, or the fields of it that were asked for."""
    names: Iterable[str] = query.get("fields", "").split(",") if query.get("fields") else record
    return {name: record[name] for name in names if name in record}


def error(words: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong, as the archive does."""
    return JSONResponse({"data": None, "error": words}, status, headers)

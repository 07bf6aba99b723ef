"""What the service answers, row by row: lists that are lists, posts that are posts, and patience where it gives up."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from redpop_assets.errors import RedditBusy, RedditError, SubredditUnavailable
from redpop_assets.literals import exceeds_levels
from redpop_assets.sources.arctic_shift.connection import Connection, QueryTimedOut
from redpop_assets.sources.typed import moment
from redpop_assets.sources.values import parse_post_id

log = logging.getLogger(__name__)

PAUSES: Final = (2.0, 5.0, 15.0, 30.0)
"""Seconds after a query that was given up, by how often that happened in a row: the first time may be bad luck."""

_UNKNOWN: Final = ("not found", "does not exist", "doesn't exist", "no such", "unknown subreddit", "unknown community")


class Service:
    """Asks for lists and keeps what is usable of them.

    Args:
        connection: asks one question.

    Attributes:
        records_dropped: rows that were not usable so far.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.records_dropped = 0

    def rows(self, path: str, query: Mapping[str, str]) -> tuple[list[Any], datetime]:
        """The rows of one answer, and when the service gave it.

        Raises:
            QueryTimedOut: it gave the query up; a smaller one may succeed.
            SubredditUnavailable: it says that it knows no such community.
            RedditError: as `Connection.get`; or `data` is no list.
        """
        try:
            answer = self.connection.get(path, query)
        except RedditBusy:
            raise
        except RedditError as error:
            if any(words in str(error).lower() for words in _UNKNOWN) and not query.keys().isdisjoint(
                ("subreddit", "subreddits", "key")
            ):
                raise SubredditUnavailable(
                    f"{error} Check the spelling of the community, or take it out of REDPOP_SUBREDDITS."
                ) from error
            raise
        if not isinstance(answer.data, list):
            raise RedditError(
                f"{self.connection.host} answered /{path} with data that is no list: check REDPOP_ARCTIC_SHIFT_URL; if "
                "it is right and this lasts, please report it."
            )
        return answer.data, answer.at

    def patient_rows(self, path: str, query: Mapping[str, str]) -> tuple[list[Any], datetime]:
        """As `rows`, for a query that cannot be made smaller.

        Raises:
            RedditBusy: the service gave it up again and again.
        """
        for attempt in range(1, len(PAUSES) + 1):
            try:
                return self.rows(path, query)
            except QueryTimedOut as failure:
                if attempt == len(PAUSES):
                    raise given_up(failure) from failure
                self.wait(attempt)
        raise AssertionError("unreachable")

    def wait(self, failures: int) -> None:
        """Let the service rest after so many failures in a row."""
        self.connection.pause(PAUSES[min(failures, len(PAUSES)) - 1])

    def posts(self, rows: Iterable[Any], subreddit: str | None = None) -> list[dict[str, Any]]:
        """The rows that are posts, of that community if one is named; the others are counted."""
        posts = []
        problems: Counter[str] = Counter()
        for row in rows:
            post_id = parse_post_id(row.get("id")) if isinstance(row, dict) else None
            if post_id is None:
                problems["records without the id of a post"] += 1
            elif exceeds_levels(row):
                problems["posts nested too deeply"] += 1
            elif subreddit and row.get("subreddit") is not None and not is_named(row["subreddit"], subreddit):
                problems[f"posts that are not of r/{subreddit}"] += 1
            else:
                posts.append({**row, "id": post_id})
        for problem, number in problems.items():
            self.drop(problem, number)
        return posts

    def drop(self, what: str, number: int) -> None:
        """Count rows that are of no use, and say so."""
        if number:
            self.records_dropped += number
            log.warning("%s sent %d %s; they are left out.", self.connection.host, number, what)


def given_up(failure: QueryTimedOut) -> RedditBusy:
    """The error of a query that the service gave up however small it was."""
    return RedditBusy(
        f"{failure} It did so however little was asked for: run again in some minutes; what was read is kept."
    )


def is_named(value: Any, community: str) -> bool:
    """Whether a record names a community, in any case, with or without `r/`."""
    return isinstance(value, str) and value.casefold().removeprefix("r/") == community.casefold().removeprefix("r/")


def created(row: Any) -> float | None:
    """When a record was made (Unix seconds); None if it does not say."""
    try:
        return moment(row.get("created_utc")).timestamp() if isinstance(row, dict) else None
    except ValueError:
        return None

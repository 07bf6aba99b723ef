"""From submission objects, without names of people by now, to rows of the raw tables: loose JSON becomes typed columns.

Rows keep the partition they were asked for, in lower case, whatever community the object names: a promoted post names
none, and what does not belong is for the cleaning to reject with a reason. Nothing here talks to a network.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from redpop_assets.privacy.names import DELETED
from redpop_assets.sources.listings import ListingRead, Page
from redpop_assets.storage.arrow import naive_utc

SUBMISSIONS = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("discovered_at", pa.timestamp("us")),
        ("origin", pa.string()),
        ("revised_at", pa.timestamp("us")),
        ("json", pa.string()),
    ]
)
SIGHTINGS = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("seen_at", pa.timestamp("us")),
        ("listing", pa.string()),
        ("time_filter", pa.string()),
        ("rank", pa.int32()),
    ]
)
OBSERVATIONS = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("observed_at", pa.timestamp("us")),
        ("endpoint", pa.string()),
        ("score", pa.int32()),
        ("upvote_ratio", pa.float64()),
        ("num_comments", pa.int32()),
        ("num_crossposts", pa.int32()),
        ("hide_score", pa.bool_()),
        ("stickied", pa.bool_()),
        ("locked", pa.bool_()),
        ("over_18", pa.bool_()),
        ("spoiler", pa.bool_()),
        ("edited", pa.bool_()),
        ("archived", pa.bool_()),
        ("author_present", pa.bool_()),
        ("removed_by_category", pa.string()),
    ]
)
LISTING_READS = pa.schema(
    [
        ("subreddit", pa.string()),
        ("listing", pa.string()),
        ("time_filter", pa.string()),
        ("read_at", pa.timestamp("us")),
        ("posts", pa.int32()),
        ("new_posts", pa.int32()),
        ("requests", pa.int32()),
        ("ended", pa.string()),
        ("oldest_created_at", pa.timestamp("us")),
        ("newest_created_at", pa.timestamp("us")),
        ("overlapped", pa.bool_()),
        ("gap_from", pa.timestamp("us")),
        ("gap_to", pa.timestamp("us")),
    ]
)
PRESENCE = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("checked_at", pa.timestamp("us")),
        ("misses", pa.int32()),
        ("missing_since", pa.timestamp("us")),
    ]
)

_INT32 = 2**31


def submission_rows(
    submissions: Iterable[dict[str, Any]], *, subreddit: str, discovered_at: datetime, origin: str = "listing"
) -> pa.Table:
    """Rows of raw.submissions (schema `SUBMISSIONS`), one per post, the first where a post repeats.

    Args:
        submissions: pseudonymised submission objects with an `id`.
        subreddit: the partition asked for.
        discovered_at: when Reddit answered (aware).
        origin: `listing`, `arctic_shift`, or `archive:<file name>`.
    """
    partition, when = subreddit.lower(), naive_utc(discovered_at)
    return _table(
        SUBMISSIONS,
        (
            (post_id, partition, when, origin, None, submission_json(submission))
            for post_id, submission in _first_of_each(submissions).items()
        ),
    )


def sighting_rows(page: Page, *, subreddit: str) -> pa.Table:
    """Rows of raw.sightings (schema `SIGHTINGS`), one per post of the page, at its best rank.

    Args:
        page: an answer of the client; of its submissions only the ids are used.
        subreddit: the partition asked for.
    """
    ranks: dict[str, int] = {}
    for submission, rank in zip(page.submissions, page.ranks, strict=True):
        ranks.setdefault(submission["id"], rank)
    partition, when = subreddit.lower(), naive_utc(page.observed_at)
    return _table(
        SIGHTINGS,
        (
            (post_id, partition, when, page.listing.name, page.listing.time_filter, rank)
            for post_id, rank in ranks.items()
        ),
    )


def observation_rows(
    submissions: Iterable[dict[str, Any]], *, subreddit: str, observed_at: datetime, endpoint: str
) -> pa.Table:
    """Rows of raw.observations (schema `OBSERVATIONS`), one per post, the first where a post repeats.

    A value that is absent, null, or not of its column's kind is NULL. Numbers may be numeric text, as in archives.

    Args:
        submissions: pseudonymised submission objects with an `id`.
        subreddit: the partition asked for.
        observed_at: when Reddit answered (aware).
        endpoint: `listing`, `info`, `arctic_shift` or `archive`.
    """
    partition, when = subreddit.lower(), naive_utc(observed_at)
    return _table(
        OBSERVATIONS,
        (
            (
                post_id,
                partition,
                when,
                endpoint,
                _integer(post.get("score")),
                _number(post.get("upvote_ratio")),
                _integer(post.get("num_comments")),
                _integer(post.get("num_crossposts")),
                _flag(post.get("hide_score")),
                _flag(post.get("stickied")),
                _flag(post.get("locked")),
                _flag(post.get("over_18")),
                _flag(post.get("spoiler")),
                _flag(post.get("edited")),
                _flag(post.get("archived")),
                post["author"] not in (None, "", DELETED) if "author" in post else None,
                _text(post.get("removed_by_category")),
            )
            for post_id, post in _first_of_each(submissions).items()
        ),
    )


def listing_read_rows(readings: Iterable[ListingRead]) -> pa.Table:
    """Rows of raw.listing_reads (schema `LISTING_READS`)."""
    return pa.Table.from_pylist([asdict(reading) for reading in readings], schema=LISTING_READS)


def submission_json(submission: dict[str, Any]) -> str:
    """The object as JSON text, keys in their order. Half surrogate pairs, which DuckDB refuses, become `?`."""
    text = json.dumps(submission, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def created_at(submission: dict[str, Any]) -> datetime | None:
    """When the post was made (aware, UTC), from `created_utc` as a number or numeric text; None if it is neither."""
    seconds = _number(submission.get("created_utc"))
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def shown_ids(submission: dict[str, Any]) -> set[str]:
    """Ids of the post and of the posts that it copies: a crosspost carries the whole object of its original."""
    parents = submission.get("crosspost_parent_list")
    originals = (
        [parent.get("id") for parent in parents if isinstance(parent, dict)] if isinstance(parents, list) else []
    )
    found = (submission["id"], submission.get("crosspost_parent"), *originals)
    return {post_id.removeprefix("t3_") for post_id in found if isinstance(post_id, str)}


def _first_of_each(submissions: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    posts: dict[str, dict[str, Any]] = {}
    for submission in submissions:
        posts.setdefault(submission["id"], submission)
    return posts


def _table(schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and -_INT32 <= number < _INT32 else None


def _flag(value: Any) -> bool | None:
    """True, false, a number (`edited` is the time of the edit), or one of these as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    number = _number(value)
    return None if number is None else number != 0


def _text(value: Any) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None

"""From posts of an archive, be it a file or a service, to rows of the raw tables: each with the time of its reading."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.submissions import pseudonymise
from redpop_assets.removals import removal
from redpop_assets.sources.archives.one_record import ArchivedPost, ArchivedReading
from redpop_assets.sources.listings import Listing, Page
from redpop_assets.sources.records import (
    OBSERVATIONS,
    SIGHTINGS,
    SUBMISSIONS,
    observation_rows,
    sighting_rows,
    submission_rows,
)
from redpop_assets.sources.values import parse_post_id
from redpop_assets.spellings import author_of
from redpop_assets.storage.arrow import naive_utc
from redpop_assets.storage.rows import Reader

IDS: Final = "SELECT unnest(string_split($ids, ','))"
"""The ids of a parameter: DuckDB's Python client takes 0.1 ms for each element of a list, so they come as one text."""

_ANY_TIME: Final = datetime(2005, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    """A post of an archive, ready to be stored: `submission` is pseudonymised, `copies` are ids of its originals."""

    post_id: str
    subreddit: str
    submission: dict[str, Any]
    copies: tuple[str, ...]
    row: ArchivedPost

    @classmethod
    def of(cls, row: ArchivedPost, default: str, key: AuthorKey) -> "Record":
        """Make one of what an archive gives; `default` is the community of rows that name none."""
        # Archives may spell the id as `t3_…`, or give it as `name` only.
        post_id = parse_post_id(row.submission.get("id")) or parse_post_id(row.submission.get("name")) or ""
        named = dict(row.submission)
        if "author" in named:
            named["author"] = author_of(named["author"])
        own = row.submission.get("subreddit")
        parents = row.submission.get("crosspost_parent_list")
        originals = (
            [parent.get("id") for parent in parents if isinstance(parent, dict)] if isinstance(parents, list) else []
        )
        found = (parse_post_id(original) for original in (row.submission.get("crosspost_parent"), *originals))
        return cls(
            post_id,
            own.lower() if isinstance(own, str) and own else default,
            {**pseudonymise(named, key), "id": post_id},
            tuple(original for original in found if original),
            row,
        )


def raw_rows(posts: Sequence[Record], *, origin: str, endpoint: str) -> dict[str, pa.Table]:
    """Rows of raw.submissions, raw.observations and raw.sightings, a reading for each record.

    Args:
        posts: a post may occur several times, as it was read.
        origin, endpoint: as in `records.submission_rows` and `records.observation_rows`.
    """
    submissions, observations = [SUBMISSIONS.empty_table()], [OBSERVATIONS.empty_table()]
    for turn in _turns(posts):
        own: dict[str, Sequence[Any]] = {
            "subreddit": [post.subreddit for post in turn],
            "discovered_at": [naive_utc(post.row.observed_at) for post in turn],
            "observed_at": [naive_utc(post.row.observed_at) for post in turn],
        }
        # One table for all moments and communities: a dump has as many as it has posts.
        rows = submission_rows((post.submission for post in turn), subreddit="", discovered_at=_ANY_TIME, origin=origin)
        submissions.append(_with(rows, own))
        rows = observation_rows(
            (_as_observed(post.submission) for post in turn), subreddit="", observed_at=_ANY_TIME, endpoint=endpoint
        )
        observations.append(_with(rows, own))
    seen = [
        (
            (post.subreddit, post.row.listing, post.row.time_filter or "", post.row.observed_at),
            post.post_id,
            post.row.rank or 0,
        )
        for post in posts
        if post.row.listing is not None
    ]
    return {
        "raw.submissions": pa.concat_tables(submissions),
        "raw.observations": pa.concat_tables(observations),
        "raw.sightings": _sightings(seen),
    }


@dataclass(frozen=True)
class KnownReading:
    """A reading of a post that is stored, and of its community (in lower case); `observed_at` is aware, UTC."""

    post_id: str
    subreddit: str
    observed_at: datetime
    reading: ArchivedReading


def reading_rows(readings: Sequence[KnownReading], key: AuthorKey, *, endpoint: str) -> dict[str, pa.Table]:
    """Rows of raw.observations and raw.sightings, as `raw_rows` makes them."""
    # By number, since rows are made of one reading per id.
    values = ({**pseudonymise(each.reading.values, key), "id": str(number)} for number, each in enumerate(readings))
    rows = observation_rows(values, subreddit="", observed_at=_ANY_TIME, endpoint=endpoint)
    own: dict[str, Sequence[Any]] = {
        "post_id": [each.post_id for each in readings],
        "subreddit": [each.subreddit for each in readings],
        "observed_at": [naive_utc(each.observed_at) for each in readings],
    }
    seen = [
        ((each.subreddit, each.reading.listing, each.reading.time_filter or "", each.observed_at), each.post_id, rank)
        for each in readings
        if (rank := each.reading.rank) is not None
        and each.reading.listing is not None
        and (each.reading.subreddit or each.subreddit).lower() == each.subreddit
    ]
    return {"raw.observations": _with(rows, own), "raw.sightings": _sightings(seen)}


def _sightings(seen: Iterable[tuple[tuple[str, str | None, str, datetime], str, int]]) -> pa.Table:
    """Rows of raw.sightings: community, listing, time filter and moment; the post; its place."""
    listed: dict[tuple[str, str | None, str, datetime], list[tuple[str, int]]] = {}
    for where, post_id, rank in seen:
        listed.setdefault(where, []).append((post_id, rank))
    tables = [SIGHTINGS.empty_table()]
    for (subreddit, listing, time_filter, moment), members in listed.items():
        submissions = tuple({"id": post_id} for post_id, _ in members)
        page = Page(Listing(listing or "", time_filter), moment, 0, submissions, tuple(rank for _, rank in members))
        tables.append(sighting_rows(page, subreddit=subreddit))
    return pa.concat_tables(tables)


def without(rows: pa.Table, post_ids: Collection[str]) -> pa.Table:
    """The rows that are of none of these posts."""
    return rows.filter(pc.invert(pc.is_in(rows["post_id"], pa.array(sorted(post_ids), pa.string()))))


def _turns(posts: Iterable[Record]) -> list[list[Record]]:
    """The posts in as few lists as possible, in none of which a post occurs twice."""
    turns: list[list[Record]] = []
    times: Counter[str] = Counter()
    for post in posts:
        if times[post.post_id] == len(turns):
            turns.append([])
        turns[times[post.post_id]].append(post)
        times[post.post_id] += 1
    return turns


def _with(rows: pa.Table, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The rows with other values in those of the columns that they have."""
    for name in set(columns) & set(rows.column_names):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(columns[name], rows.schema.field(at).type))
    return rows


def _as_observed(submission: dict[str, Any]) -> dict[str, Any]:
    """The submission with what its JSON says about its removal in the field in which the API says it."""
    return {**submission, "removed_by_category": removal(submission)}


def forgotten_ids(reader: Reader, posts: Iterable[Record], others: Iterable[str] = ()) -> set[str]:
    """Ids of those posts, and of `others`, that are forgotten, or are copies of such posts."""
    mentioned: dict[str, set[str]] = {post_id: {post_id} for post_id in others}
    for post in posts:
        mentioned.setdefault(post.post_id, {post.post_id}).update(post.copies)
    ids = set().union(*mentioned.values())
    found = reader.query(f"SELECT post_id FROM raw.tombstones WHERE post_id IN ({IDS})", {"ids": ",".join(ids)})
    gone = set(found.column("post_id").to_pylist())
    return {post_id for post_id, related in mentioned.items() if related & gone}

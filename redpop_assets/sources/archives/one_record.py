"""What one record of a file says, whatever file it lies in: of a post, of readings of its score, or of both.

Names are those of the API or others that people use for the same (`redpop_assets.sources.typed`); where a file keeps
further readings is found by whoever knows the file (`Layout`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from redpop_assets.sources.archives.series import EITHER, OF_COMMENTS, READ_ALONE, Read, Series, age_of, listed
from redpop_assets.sources.typed import (
    ALIASES,
    BrokenRecordError,
    Dates,
    has_value,
    moment,
    reading_values,
    tells_reading,
    typed,
    typed_reading,
)
from redpop_assets.sources.values import parse_post_id

ObservedAtRule = Literal[
    "observed_at", "age", "retrieved_2nd_on", "retrieved_on", "retrieved_utc", "given", "newest_post"
]

_OTHER_KINDS: Final = frozenset({"t1", "t2", "t4", "t5", "t6", "more", "Listing"})
_LISTINGS: Final = frozenset({"new", "hot", "rising", "top", "controversial"})
_OF_LISTING: Final = re.compile(r"(?:^|/)r/([\w.-]+)/", re.ASCII)
_TIME_FILTERS: Final = frozenset({"hour", "day", "week", "month", "year", "all"})
_FILTERED_LISTINGS: Final = frozenset({"top", "controversial"})

NO_TIME: Final = "no time at which it was read"


@dataclass(frozen=True)
class ArchivedPost:
    """One row of an archive.

    `submission` is the object as stored, with a base36 `id` or a `name`. `observed_at` (aware, UTC) is when its score
    was read, and `observed_at_rule` says how that is known: a field of the row, the `age` of the post then, `given` by
    the caller, or
    `newest_post`, the time of the newest post of the file, which a file cannot have been taken before. `listing`,
    `time_filter` (empty without one) and `rank` (from 0) are the place in a listing of the post's own community, all
    None where the archive has none.
    """

    submission: dict[str, Any]
    observed_at: datetime
    observed_at_rule: ObservedAtRule
    listing: str | None = None
    time_filter: str | None = None
    rank: int | None = None


@dataclass(frozen=True)
class ArchivedReading:
    """A reading of a post that this file, or the warehouse, tells of elsewhere.

    Attributes:
        line: number of the line or element, from 1.
        post_id: base36 id.
        values: what was read, by the fields of the API.
        observed_at: when (aware, UTC); None where only the age is known.
        age: of the post at the reading; None where the time is known.
        created_at: when the post was made; None where the file does not say so.
        subreddit: as the file writes it; None where it names none.
        observed_at_rule, listing, time_filter, rank: as of `ArchivedPost`.
    """

    line: int
    post_id: str
    values: dict[str, Any]
    observed_at: datetime | None
    age: timedelta | None
    created_at: datetime | None = None
    observed_at_rule: ObservedAtRule = "observed_at"
    subreddit: str | None = None
    listing: str | None = None
    time_filter: str | None = None
    rank: int | None = None


@dataclass(frozen=True)
class Row:
    """A post as it lies in the file, before the file as a whole decides when it was observed."""

    submission: dict[str, Any]
    created_at: datetime
    observed: tuple[datetime, ObservedAtRule] | None
    listing: tuple[str, str, int] | None
    emptied: list[str]
    day_alone: bool
    further: tuple[ArchivedReading, ...] = ()


@dataclass(frozen=True)
class Readings:
    """Readings without their post, as they lie in the file."""

    readings: tuple[ArchivedReading, ...]
    subreddit: str | None
    emptied: list[str]


@dataclass(frozen=True)
class Layout:
    """Where the records of a JSON file keep their readings.

    Attributes:
        read: field with the time of the reading, of a name that may be that of the post's; None without.
        series: fields that hold one reading each.
        age: field with the age of the post at the reading, and the seconds in one of what it counts; None without.
    """

    read: str | None = None
    series: Series = field(default_factory=Series)
    age: tuple[str, float] | None = None


def json_row(record: Any, layout: Layout) -> Row | Readings:
    """What a JSON object says: a submission of the API, an annotation of RedCaps, or readings alone.

    Raises:
        BrokenRecordError: it is none of these, or lacks what each of them needs.
    """
    if not isinstance(record, dict):
        raise BrokenRecordError(f"a JSON {type(record).__name__}, not an object")
    if "raw_caption" in record and "title" not in record:
        return row_of(_submission_of_annotation(record), record)
    data = record.get("data")
    if not isinstance(data, dict) or "id" in record:
        data = record
    elif record.get("kind", "t3") != "t3":
        kind = next((kind for kind in _OTHER_KINDS if kind == record["kind"]), "that Reddit does not have")
        raise BrokenRecordError(f"a thing of a kind {kind}, not a submission")
    reads = [*layout.series.readings(data), *listed(data)]
    age = age_of(data.get(layout.age[0]), layout.age[1]) if layout.age else None
    if layout.read is not None and has_value(data.get(layout.read)):
        data = {**data, "observed_at": data[layout.read]}
        del data[layout.read]
    if not has_value(data.get("title")):
        alone = _reading_alone(data)
        if is_alone(alone, reads, age):
            return readings_of(alone, record, reads, age, None)
    return row_of(data, record, reads, age)


def fields_of(record: Any) -> dict[str, Any] | None:
    """What a record says in plain values."""
    data = record.get("data") if isinstance(record, dict) and "id" not in record else None
    found = data if isinstance(data, dict) else record
    if not isinstance(found, dict):
        return None
    return {name: value for name, value in found.items() if not isinstance(value, dict | list)}


def post_id_of(record: Mapping[str, Any]) -> str | None:
    """The base36 id of the post that a record is about; None where it names none."""
    return next(
        (found for name in ("id", *ALIASES["id"], "name") if (found := parse_post_id(record.get(name)))),
        None,
    )


def _reading_alone(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without a post: names that mean something else beside one are those of a reading."""
    found = dict(record)
    if not any(has_value(record.get(name)) for name in TIMES_OF_READING):
        name = next((name for name in EITHER if has_value(record.get(name))), None)
        if name is not None:
            found["observed_at"] = found.pop(name)
    for name, others in READ_ALONE.items():
        other = next((each for each in others if has_value(record.get(each))), None)
        if other is not None and not has_value(record.get(name)):
            found[name] = found.pop(other)
    return found


def is_alone(record: Mapping[str, Any], reads: Sequence[Read], age: timedelta | None) -> bool:
    """Whether a record has readings and no post; a comment has no title either."""
    if has_value(record.get("title")) or has_value(record.get("url")) or any(name in record for name in OF_COMMENTS):
        return False
    has_time = age is not None or any(has_value(record.get(name)) for name in TIMES_OF_READING)
    has_score = any(has_value(record.get(name)) for name in ("score", *ALIASES["score"]))
    return bool(reads) or (has_time and has_score)


def readings_of(
    submission: Mapping[str, Any],
    record: Mapping[str, Any],
    reads: Sequence[Read],
    age: timedelta | None,
    dates: Dates | None,
) -> Readings:
    """The readings of a record that has no post."""
    found = typed_reading(submission, dates=dates)
    own: list[ArchivedReading] = []
    if tells_reading(found.values):
        observed = _own_observed_at(submission, record, dates or Dates())
        place = _listing(found.subreddit, record) or (None, None, None)
        if observed is None and age is not None:
            observed = None if found.created_at is None else (found.created_at + age, "age")
        elif observed is None and not reads:
            raise BrokenRecordError(NO_TIME)
        if observed is not None or age is not None:
            moment_read, rule = observed or (None, "age")
            own = [
                ArchivedReading(
                    *(0, found.post_id, found.values, moment_read, None if observed else age, found.created_at, rule),
                    found.subreddit or _community_of(record.get("listing")),
                    *place,
                )
            ]
    further = _further(reads, found.post_id, found.created_at, found.subreddit, dates, found.emptied)
    if not own and not further:
        raise BrokenRecordError("; ".join(found.emptied) or "a reading without a score, comments or a share of upvotes")
    return Readings((*own, *further), found.subreddit, found.emptied)


def _further(
    reads: Sequence[Read],
    post_id: str,
    created_at: datetime | None,
    subreddit: str | None,
    dates: Dates | None,
    emptied: list[str],
) -> tuple[ArchivedReading, ...]:
    """The readings that a record holds beside its own; what is none of them is added to `emptied`."""
    found = []
    for read in reads:
        observed_at, age = None, read.age
        how: ObservedAtRule = "observed_at" if age is None else "age"
        try:
            values = reading_values(read.values, emptied)
            if not tells_reading(values):
                continue
            if age is None:
                observed_at = _moment_read(read.at, dates or Dates())
            elif created_at is not None:
                observed_at, age = created_at + age, None
        except BrokenRecordError as error:
            emptied.append(str(error))
            continue
        found.append(ArchivedReading(0, post_id, values, observed_at, age, created_at, how, subreddit))
    return tuple(found)


def _moment_read(value: Any, dates: Dates) -> datetime:
    if isinstance(value, datetime):
        return value
    if not has_value(value):
        raise BrokenRecordError(NO_TIME)
    try:
        return moment(value, day_is_enough=True, order=dates.order)
    except ValueError as error:
        raise BrokenRecordError(f"the time at which it was read {error}") from None


def _submission_of_annotation(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation of RedCaps under the names of the API; what the API does not know stays.

    RedCaps writes a deleted author as the text None. Its files call the address `url`, its tables `image_url`.
    """
    submission = {name: value for name, value in annotation.items() if name not in _ANNOTATION_NAMES}
    submission["id"] = annotation.get("image_id")
    submission["title"] = annotation["raw_caption"]
    submission["url"] = annotation.get("url") or annotation.get("image_url")
    if annotation.get("author") in (None, "None"):
        submission["author"] = "[deleted]"
    parents = annotation.get("crosspost_parents")
    if isinstance(parents, list) and parents and isinstance(parents[-1], str):
        submission["crosspost_parent"] = f"t3_{parents[-1].removeprefix('t3_')}"
    return submission


_ANNOTATION_NAMES: Final = frozenset({"image_id", "raw_caption", "url", "image_url", "crosspost_parents"})


def row_of(
    submission: dict[str, Any],
    record: Mapping[str, Any],
    reads: Sequence[Read] = (),
    age: timedelta | None = None,
    *,
    from_table: bool = False,
    dates: Dates | None = None,
) -> Row:
    """The post of a record, and its readings.

    Args:
        submission: by the names of the API.
        record: all that the record has, around the submission.
        reads: further readings that it holds.
        age: of the post when its own score was read; None where the record says when that was, or nothing.
        from_table: whether all values are text.
        dates: how its dates are written; None for those of the API.

    Raises:
        BrokenRecordError: no post can be made of it.
    """
    found = typed(submission, from_table=from_table, dates=dates)
    own = found.submission.get("subreddit")
    observed = _own_observed_at(found.submission, record, dates or Dates())
    if observed is None and age is not None:
        observed = found.created_at + age, "age"
    further = _further(reads, found.submission["id"], found.created_at, None, dates, found.emptied)
    if further and found.submission.get("score") is None and further[0].observed_at is not None:
        first, *others = further
        found.submission.update(first.values)
        observed, further = (further[0].observed_at, first.observed_at_rule), tuple(others)
    return Row(
        found.submission,
        found.created_at,
        observed,
        _listing(own if isinstance(own, str) else None, record),
        found.emptied,
        found.day_alone,
        further,
    )


TIMES_OF_READING: Final = (
    *("observed_at", *ALIASES["observed_at"], "retrieved_on", "retrieved_utc", "retrieved_2nd_on"),
)


def _own_observed_at(
    submission: Mapping[str, Any], record: Mapping[str, Any], dates: Dates
) -> tuple[datetime, ObservedAtRule] | None:
    """When the row itself says that its score was read; of two readings the second, whose score was kept."""
    meta = submission.get("_meta")
    second = meta.get("retrieved_2nd_on") if isinstance(meta, Mapping) else None
    found: list[tuple[ObservedAtRule, Any]] = [
        ("observed_at", record.get("observed_at")),
        *((("observed_at"), submission.get(name)) for name in ("observed_at", *ALIASES["observed_at"])),
        ("retrieved_2nd_on", second),
        ("retrieved_2nd_on", submission.get("retrieved_2nd_on")),
        ("retrieved_on", submission.get("retrieved_on")),
        ("retrieved_utc", submission.get("retrieved_utc")),
    ]
    for rule, value in found:
        try:
            if has_value(value):
                return moment(value, day_is_enough=True, order=dates.order), rule
        except ValueError:
            continue
    return None


def _listing(own: str | None, record: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Listing, time filter and rank, where the record was found in a listing of the post's own community.

    A `position` counts from 0, a `rank` from 1. A place in r/popular, in a multireddit or in a user's posts says
    nothing about the community.
    """
    listing, rank = record.get("listing"), _place(record)
    if not isinstance(listing, str) or rank is None:
        return None
    try:
        parts = urlsplit(listing)
    except ValueError:
        return None
    segments = parts.path.strip("/").lower().split("/")
    if len(segments) != 3 or segments[0] != "r" or segments[2] not in _LISTINGS:
        return None
    if own is not None and segments[1] != own.lower():
        return None
    name = segments[2]
    if name not in _FILTERED_LISTINGS:
        return name, "", rank
    time_filter = parse_qs(parts.query).get("t", ["day"])[0]
    return (name, time_filter, rank) if time_filter in _TIME_FILTERS else None


def _community_of(listing: Any) -> str | None:
    """The community of a listing such as r/pics/hot."""
    found = _OF_LISTING.search(listing) if isinstance(listing, str) else None
    return found[1] if found else None


def _place(record: Mapping[str, Any]) -> int | None:
    """The place in a listing, from 0; None where the record has none."""
    for name, first in (("position", 0), ("rank", 1)):
        value = record.get(name)
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= first:
            return value - first
    return None

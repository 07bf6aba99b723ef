"""The one door at which the values of any file of posts get the names and types that the API gives them.

Tables know nothing but text; databases write flags as 0 and 1 and nested fields as text; R and spreadsheets have their
own numbers. `typed` turns a record of any of them into a submission that everything behind can rely on: numbers are
numbers, flags are booleans, times are epoch seconds, what is nested is nested, and what is missing is None.

A value that cannot be meant refuses its record where the post would be another with a guess in its place (its id, its
time, its score, a flag that keeps it from being shown, its pictures); elsewhere the field is emptied and the record
says so. No value is guessed.
"""

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from redpop_assets.errors import SettingsError
from redpop_assets.labels import MOST_SCORE
from redpop_assets.literals import MOST_LEVELS, ScientificFloat, exceeds_levels, literal
from redpop_assets.sources.values import parse_created_utc, parse_post_id
from redpop_assets.spellings import TABLE_MARKERS, author_of, is_nobody, parse_community

_INT32: Final = 2**31

_MISSING: Final = TABLE_MARKERS | {"nat"}  # in pandas, a time that is missing
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_THREE_ZEROS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})*\.000")
_SCIENTIFIC: Final = re.compile(r"[+-]?\d(?:\.(\d*))?[eE]\+?(\d+)")
_NUMERIC: Final = re.compile(r"[\d\s.,:+%/eETZ-]{1,40}|[+-]?(?:inf|infinity)", re.IGNORECASE)
_DAY: Final = re.compile(r"\d{4}-?\d\d-?\d\d")
_CLOCK: Final = (
    r"(?:(?:\s*,\s*|\s+|T)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second_of>\d\d)(?P<part>\.\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?(?P<zone>\s*(?:UTC|GMT|Z|[+-]\d\d(?::?\d\d)?))?)?"
)
_NUMBERS: Final = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<sign>[/.-])(?P<second>\d{{1,2}})(?P=sign)(?P<year>\d{{4}}|\d\d){_CLOCK}",
    re.IGNORECASE | re.ASCII,
)
_YEAR_FIRST: Final = re.compile(
    rf"(?P<year>\d{{4}})(?P<sign>[/.-])(?P<month>\d{{1,2}})(?P=sign)(?P<day>\d{{1,2}}){_CLOCK}",
    re.IGNORECASE | re.ASCII,
)
_MONTH_NAMED: Final = re.compile(
    r"(?:[a-z]{3,9},?\s+)?(?:(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s-]+(?P<month>[a-z]{3,9})\.?"
    r"|(?P<month_first>[a-z]{3,9})\.?\s+(?P<day_second>\d{1,2})(?:st|nd|rd|th)?)"
    rf",?[\s-]+(?P<year>\d{{4}}){_CLOCK}",
    re.IGNORECASE | re.ASCII,
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHORT_OFFSET: Final = re.compile(r"(?<=\d)\s*(?:UTC|GMT)$|(?<=[+-]\d\d)$", re.IGNORECASE)
# An object, or a list of them, in a cell of any name.
_OBJECTS: Final = re.compile(r"""\s*(?:\[\s*)?\{\s*["']""")
_LONGEST_NUMBER: Final = 400  # characters; Python takes time that grows with the square of the digits
# Seconds, and what pandas, JavaScript and databases count instead; the years 2005 to 2099 are told apart by size.
_UNITS: Final = (1, 1_000, 1_000_000, 1_000_000_000)
# The page of a post, in the community or on the profile where it stands, and perhaps one comment of it.
_COMMENTS: Final = re.compile(
    r"(?:(?:https?:)?//[\w.:-]+|(?:[\w-]+\.)*reddit\.com)?(?:(?P<place>/(?:r|u|user)/)(?P<name>[\w.-]{1,22}))?"
    r"/comments/(?P<id>[a-z0-9]{1,13})(?:/[^/?#\s]*(?:/(?P<comment>[a-z0-9]+))?)?/?(?:[?#]\S*)?",
    re.ASCII | re.IGNORECASE,
)

# Name of the API -> other names it goes by, the likelier first. A name of the API that is there is never overruled.
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("post_id", "submission_id", "submission", "reddit_id", "image_id"),
    "title": ("post_title", "submission_title", "raw_caption", "headline", "caption"),
    "created_utc": (
        *("created", "created_at", "created_date", "created_datetime", "created_time", "created_on", "date_created"),
        *("creation_date", "creation_time", "timestamp", "timestamp_utc", "datetime", "datetime_utc", "date_utc"),
        *("posted_at", "date_posted", "post_date", "post_time", "published_at", "date", "time", "utc"),
    ),
    "score": (
        *("ups", "upvotes", "number_of_upvotes", "num_upvotes", "upvote_count", "post_score", "points", "net_score"),
    ),
    "url": ("url_overridden_by_dest", "image_url", "img_url", "link", "link_url", "media_url", "content_url"),
    "over_18": ("nsfw", "is_nsfw", "over18", "is_over_18"),
    "author": ("username", "author_name", "user", "user_name", "poster"),
    "num_comments": (
        *("number_of_comments", "comments", "comment_count", "comments_count", "comms_num", "n_comments"),
        "total_comments",
    ),
    "subreddit": ("subreddit_name", "community", "subreddit_name_prefixed", "sub", "sub_reddit"),
    "permalink": ("full_permalink", "full_link", "post_url", "permalink_url", "comments_url", "post_link"),
    "observed_at": (
        *("scraped_at", "retrieved_at", "collected_at", "fetched_at", "crawled_at", "date_scraped", "scrape_date"),
        "read_at",
    ),
}

OF_READING: Final = (
    *("score", "upvote_ratio", "num_comments", "num_crossposts", "hide_score", "stickied", "locked", "over_18"),
    *("spoiler", "archived", "removed_by_category"),
)
"""Fields of the API that change after the post was made, and that a reading keeps."""

_OF_API: Final = frozenset({"created", "ups", "url_overridden_by_dest", "subreddit_name_prefixed"})
_TEXTS: Final = frozenset({"title", "selftext", "selftext_html", "body"})
_FLAGS: Final = frozenset(
    {
        *("archived", "contest_mode", "hide_score", "hidden", "is_crosspostable", "is_created_from_ads_ui"),
        *("is_gallery", "is_meta", "is_original_content", "is_reddit_media_domain", "is_robot_indexable", "is_self"),
        *("is_survey_ad", "is_video", "locked", "media_only", "no_follow", "over_18", "pinned", "promoted"),
        *("quarantine", "saved", "send_replies", "spoiler", "stickied"),
    }
)
# Without these nobody can say whether the post may be shown, or is one at all.
_DECISIVE_FLAGS: Final = frozenset({"is_created_from_ads_ui", "is_self", "is_survey_ad", "over_18", "promoted"}) | {
    "quarantine",
    "stickied",
}
_COUNTS: Final = frozenset(
    {"ups", "downs", "num_comments", "num_crossposts", "gilded", "subreddit_subscribers", "total_awards_received"}
)
_MOMENTS: Final = frozenset({"created", "retrieved_on", "retrieved_utc", "retrieved_2nd_on"})
_NESTED: Final = frozenset(
    {
        *("_meta", "all_awardings", "author_flair_richtext", "awarders", "collections", "content_categories"),
        *("crosspost_parent_list", "crosspost_parents", "gallery_data", "gildings", "link_flair_richtext", "media"),
        *("media_embed", "media_metadata", "mod_reports", "mod_reports_dismissed", "poll_data", "preview"),
        *("secure_media", "secure_media_embed", "treatment_tags", "user_reports", "user_reports_dismissed"),
    }
)
# Which pictures the post shows, whose they are, and what became of it.
_DECISIVE_NESTED: Final = frozenset({"_meta", "crosspost_parent_list", "gallery_data", "media_metadata"})


DateOrder = Literal["day-first", "month-first"]


@dataclass(frozen=True)
class Dates:
    """How a file writes its dates, where one of them alone does not tell.

    Attributes:
        order: what comes first in `03/04/2020`; None if nobody knows, and then such a date is no time.
        days: whether a day without a time is the time of a post: that of its beginning, in UTC.
    """

    order: DateOrder | None = None
    days: bool = False


@dataclass(frozen=True)
class TypedReading:
    """A record that tells a reading of a post and nothing of the post itself, with the names and types of the API.

    Attributes:
        post_id: base36 id.
        values: the fields of the API that a reading has; those that the record lacks are not there.
        subreddit: as it is written; None where the record names none.
        created_at: when the post was made; None where the record does not say so.
        emptied: what was wrong with fields that were left out.
    """

    post_id: str
    values: dict[str, Any]
    subreddit: str | None
    created_at: datetime | None
    emptied: list[str] = field(default_factory=list)


TOO_DEEP: Final = f"arrays and objects more than {MOST_LEVELS} deep in each other"


class BrokenRecordError(Exception):
    """One record of a file is no post; the message says why."""


class _UnusableError(Exception):
    """A value cannot be what its field needs; the message says why."""


@dataclass(frozen=True)
class Typed:
    """A record with the names and types of the API, and what was wrong with the fields that were emptied.

    `day_alone` says that of the time only the day was known.
    """

    submission: dict[str, Any]
    created_at: datetime
    day_alone: bool
    emptied: list[str] = field(default_factory=list)


def typed(record: Mapping[str, Any], *, from_table: bool = False, dates: Dates | None = None) -> Typed:
    """Give a record the names and types of the API.

    Args:
        record: what a file holds of one post, under any of the names of `ALIASES`; names are matched as they are.
        from_table: the values are the text of cells: whatever is a missing marker is None, not in typed fields alone,
            and what looks like a nested value is one.
        dates: how the file writes the times of its posts.

    Raises:
        BrokenRecordError: it is no post; the message names the field.
    """
    if exceeds_levels(record):
        raise BrokenRecordError(TOO_DEEP)
    submission = dict(record)
    _rename(submission)
    emptied: list[str] = []
    if from_table:
        for name, value in submission.items():
            if name not in _TEXTS and isinstance(value, str) and is_missing(value):
                submission[name] = None
            elif isinstance(value, str) and name not in _NESTED and _OBJECTS.match(value):
                with contextlib.suppress(ValueError):
                    submission[name] = literal(value)
    written = submission.get("created_utc")
    created_at = _require(submission, dates or Dates())
    _type_all(submission, emptied)
    return Typed(submission, created_at, isinstance(written, str) and is_day(written, dates), emptied)


def typed_reading(record: Mapping[str, Any], *, dates: Dates | None = None) -> TypedReading:
    """Give a record of a reading the names and types of the API; see `typed`.

    Args:
        record: what a file holds of one reading, under any of the names of `ALIASES`.
        dates: how the file writes times.

    Raises:
        BrokenRecordError: it names no post, or its time or its score is none.
    """
    submission = dict(record)
    _rename(submission)
    dates = dates or Dates()
    created_at = None
    if has_value(submission.get("created_utc")):
        created_at = _created_at(submission["created_utc"], dates)
    emptied: list[str] = []
    values = reading_values(submission, emptied)
    own = submission.get("subreddit")
    return TypedReading(
        submission["id"], values, own if isinstance(own, str) and has_value(own) else None, created_at, emptied
    )


def reading_values(record: Mapping[str, Any], emptied: list[str]) -> dict[str, Any]:
    """The fields of a reading that a record has, typed; what is wrong with others is added to `emptied`.

    Raises:
        BrokenRecordError: its score is none.
    """
    values = {name: record[name] for name in OF_READING if has_value(record.get(name))}
    if "score" in values:
        values["score"] = _checked_score(values["score"])
    _type_fields(values, emptied)
    return {name: value for name, value in values.items() if value is not None}


def tells_reading(values: Mapping[str, Any]) -> bool:
    """Whether typed values are a reading: a score, comments or a share of upvotes."""
    return bool(values.keys() & {"score", "num_comments", "upvote_ratio"})


def is_day(text: str, dates: Dates | None = None) -> bool:
    """Whether a time in letters and signs is a day and no more."""
    return _DAY.fullmatch(_in_iso_order(text.strip(), (dates or Dates()).order)) is not None


def retyped(submission: Mapping[str, Any]) -> dict[str, Any]:
    """A stored record of a file with the types of the API, which imports of former versions left as the file had them.

    Where a decisive field cannot have its type, everything stays, for the cleaning to refuse.
    """
    found = dict(submission)
    try:
        _type_all(found, [])
    except BrokenRecordError:
        return dict(submission)
    return found


def _type_all(submission: dict[str, Any], emptied: list[str]) -> None:
    """Give fields their types, those of the posts that a crosspost shows included."""
    _type_fields(submission, emptied)
    parents = submission.get("crosspost_parent_list")
    if isinstance(parents, list):
        submission["crosspost_parent_list"] = [dict(each) if isinstance(each, dict) else each for each in parents]
        for parent in submission["crosspost_parent_list"]:
            if isinstance(parent, dict):
                _type_fields(parent, emptied)


def is_missing(text: str) -> bool:
    """Whether a cell holds one of the markers of a missing value."""
    return len(text) < 8 and text.strip().lower() in _MISSING


@dataclass(frozen=True)
class CommentPage:
    """The post that an address of its comments leads to: base36 id, and the community as it is written, or empty.

    `of_comment` says that the address is that of one comment.
    """

    post_id: str
    community: str
    of_comment: bool = False


def comment_page(address: Any) -> CommentPage | None:
    """What an address, with or without its host, says of a post; None for whatever is no address of comments."""
    found = _COMMENTS.fullmatch(address.strip()) if isinstance(address, str) else None
    if found is None:
        return None
    name = found["name"] or ""
    of_profile = bool(name) and found["place"].lower() != "/r/"
    return CommentPage(found["id"].lower(), f"u_{name}" if of_profile else name, found["comment"] is not None)


def moment(value: Any, *, day_is_enough: bool = False, order: DateOrder | None = None) -> datetime:
    """A time as any file says it, aware, in UTC.

    Epoch seconds, milli-, micro- or nanoseconds as a number or as text; ISO 8601, with a blank or a T; a date of
    numbers, or with an English month, and the time after it. No zone means UTC. A day alone is one only where that is
    enough.

    Raises:
        ValueError: it is none, lies outside the years 2005 to 2099, or has lost digits; the message says which.
    """
    if isinstance(value, ScientificFloat):
        return moment(value.text)
    if isinstance(value, str):
        text = value.strip()
        scientific = _SCIENTIFIC.fullmatch(text)
        if scientific and len(scientific[1] or "") < int(scientific[2][:4]):
            raise ValueError("is rounded: scientific notation has lost the digits of a time")
        if _THOUSANDS.fullmatch(text):
            text = text.replace(",", "")
        if not _NUMBER.fullmatch(text):
            return _written(text, day_is_enough=day_is_enough, order=order)
        value = text
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("is no time")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    for unit in _UNITS:
        found = parse_created_utc(number / unit)
        if found is not None:
            return found
    raise ValueError("is no time between 2005 and 2099")


def date_orders(text: str) -> frozenset[DateOrder]:
    """In which orders the numbers of a date such as `13/04/2020` make a day; both if that cannot be told.

    Empty for what is no such date, and for one that is the same day in both orders.
    """
    found = _NUMBERS.fullmatch(text.strip())
    if found is None or found["first"] == found["second"]:
        return frozenset()
    first, second = int(found["first"]), int(found["second"])
    orders: set[DateOrder] = set()
    if second <= 12:
        orders.add("day-first")
    if first <= 12:
        orders.add("month-first")
    return frozenset(orders)


def fits(name: str, value: str, dates: Dates | None = None) -> bool:
    """Whether a cell that is not missing can be what a field of the API holds."""
    known = _FITTING.get(name)
    if known is not None:
        return known(value)
    dates = dates or Dates()
    try:
        if name in ("created_utc", "observed_at"):
            moment(value, day_is_enough=dates.days or name == "observed_at", order=dates.order)
        elif name in _KINDS:
            _KINDS[name](value)
    except (ValueError, _UnusableError):
        return False
    return True


def _rename(submission: dict[str, Any]) -> None:
    """Give the fields the names of the API, where a record has them under others."""
    for name, others in ALIASES.items():
        if has_value(submission.get(name)):
            continue
        for other in others:
            if has_value(submission.get(other)):
                # A name that is not the API's is not kept beside the right one: what it holds may be a person.
                submission[name] = submission[other] if other in _OF_API else submission.pop(other)
                break
    post_id = submission.get("id")
    if isinstance(post_id, int) and not isinstance(post_id, bool):
        post_id = str(post_id)  # ids of digits alone, which tables take for numbers
    found = parse_post_id(post_id.strip() if isinstance(post_id, str) else post_id)
    full_name = submission.get("name")
    if found is None and isinstance(full_name, str) and full_name.startswith("t3_"):
        found = parse_post_id(full_name)
    if isinstance(submission.get("subreddit"), str) and "/" in submission["subreddit"]:
        with contextlib.suppress(SettingsError):
            submission["subreddit"] = parse_community(submission["subreddit"])
    page = comment_page(submission.get("permalink"))
    if found is None and not has_value(post_id) and page is not None:
        found = page.post_id
    if page is not None and page.community and not has_value(submission.get("subreddit")):
        submission["subreddit"] = page.community
    if found is None:
        raise BrokenRecordError("no usable id" + (f": {_shown(post_id)}" if has_value(post_id) else ""))
    submission["id"] = found


def has_value(value: Any) -> bool:
    """Whether a file says anything there: not None, and none of the markers of a missing value."""
    return value is not None and not (isinstance(value, str) and is_missing(value))


def _require(submission: dict[str, Any], dates: Dates) -> datetime:
    """The time of the post, after a look at the fields without which there is none."""
    if not isinstance(submission.get("title"), str):
        raise BrokenRecordError("no title (a line of comments?)")
    if not has_value(submission.get("created_utc")):
        raise BrokenRecordError("no usable created_utc: it is missing")
    created_at = _created_at(submission["created_utc"], dates)
    if not _is_epoch(submission["created_utc"]):
        submission["created_utc"] = created_at.timestamp()
    if "score" in submission:
        submission["score"] = _checked_score(submission["score"])
    return created_at


def _created_at(value: Any, dates: Dates) -> datetime:
    try:
        return moment(value, day_is_enough=dates.days, order=dates.order)
    except ValueError as error:
        raise BrokenRecordError(f"no usable created_utc: {_shown(value)} {error}") from None


def _checked_score(value: Any) -> int | None:
    try:
        return _score(value)
    except _UnusableError as error:
        raise BrokenRecordError(f"score holds {_shown(value)}, which {error}") from None


def _type_fields(submission: dict[str, Any], emptied: list[str]) -> None:
    for name, value in submission.items():
        kind = _KINDS.get(name)
        if kind is None or value is None:
            continue
        try:
            submission[name] = None if isinstance(value, str) and is_missing(value) else kind(value)
        except _UnusableError as error:
            problem = f"{name} holds {_shown(value)}, which {error}"
            if name in _DECISIVE_FLAGS or name in _DECISIVE_NESTED:
                raise BrokenRecordError(problem) from None
            submission[name] = None
            emptied.append(problem)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None and isinstance(value, int | float) and value in (0, 1):
        return value == 1
    if found is None:
        raise _UnusableError("is neither true nor false")
    return found


def _edited(value: Any) -> Any:
    """False, or the time of the edit; of some old posts only that there was one."""
    try:
        return _flag(value)
    except _UnusableError:
        return _epoch(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _UnusableError("is no number")
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_NUMBER or not (_NUMBER.fullmatch(text) or _THOUSANDS.fullmatch(text)):
            raise _UnusableError("is no number")
        value = text.replace(",", "")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _UnusableError("is too large")
    return number


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _THREE_ZEROS.fullmatch(value.strip()):
        raise _UnusableError("may mean thousands or not: write it without dots")
    number = _number(value)
    if number != int(number):
        raise _UnusableError("is no whole number")
    return int(number)


def _score(value: Any) -> int | None:
    if value is None or (isinstance(value, str) and is_missing(value)):
        return None
    found = _whole(value)
    if abs(found) > MOST_SCORE:
        raise _UnusableError(f"is beyond {MOST_SCORE:,}")
    return found


def _count(value: Any) -> int:
    found = _whole(value)
    if not -_INT32 <= found < _INT32:
        raise _UnusableError("is too large")
    return found


def _ratio(value: Any) -> float:
    # A comma in a share of upvotes is that of a decimal: "0,97" of spreadsheets in most of Europe.
    text = value.strip() if isinstance(value, str) else value
    found = _number(text.replace(",", ".") if isinstance(text, str) and re.fullmatch(r"[01],\d+", text) else text)
    if not 0 <= found <= 1:
        raise _UnusableError("is no share between 0 and 1")
    return found


def _epoch(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        return None
    try:
        found = moment(value)
    except ValueError as error:
        raise _UnusableError(str(error)) from None
    return value if _is_epoch(value) else found.timestamp()


def _is_epoch(value: Any) -> bool:
    """Whether a time is seconds already."""
    return isinstance(value, int | float) and not isinstance(value, ScientificFloat) and value < 1e11


def _nested(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = literal(value)
    except ValueError as error:
        raise _UnusableError(f"are {error}") from None
    if not isinstance(found, dict | list):
        raise _UnusableError("are no array and no object")
    return found


_KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_COUNTS, _count),
    **dict.fromkeys(_MOMENTS, _epoch),
    **dict.fromkeys(_NESTED, _nested),
    "created_utc": _epoch,
    "score": _score,
    "upvote_ratio": _ratio,
    "edited": _edited,
}


def _is_account(text: str) -> bool:
    return is_nobody(text) or (author_of(text) != "" and len(text.split()) == 1)


def _is_community(text: str) -> bool:
    try:
        parse_community(text)
    except SettingsError:
        return False
    return True


_FITTING: Final[Mapping[str, Callable[[str], bool]]] = {
    "id": lambda text: parse_post_id(text.strip()) is not None,
    "permalink": lambda text: comment_page(text) is not None,
    "url": lambda text: "/" in text or "." in text,
    "author": _is_account,
    "subreddit": _is_community,
}


def _written(text: str, *, day_is_enough: bool, order: DateOrder | None) -> datetime:
    """A time in letters and signs."""
    calendar = _in_iso_order(text, order)
    if _DAY.fullmatch(calendar) and not day_is_enough:
        raise ValueError("is a day without a time")
    try:
        parsed = datetime.fromisoformat(_SHORT_OFFSET.sub("", calendar))
    except (ValueError, OverflowError):
        raise ValueError("is no time") from None
    aware = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
    found = parse_created_utc(aware.timestamp())
    if found is None:
        raise ValueError("is no time between 2005 and 2099")
    return found


def _in_iso_order(text: str, order: DateOrder | None) -> str:
    """A date of numbers, or one with a month in letters, as ISO 8601 writes it; anything else as it stands.

    Raises:
        ValueError: nobody knows whether its day or its month comes first.
    """
    if found := _NUMBERS.fullmatch(text):
        possible = date_orders(text)
        if len(possible) == 2 and order is None:
            raise ValueError("is no time until it is told whether the day or the month comes first")
        chosen = order if order is not None and len(possible) == 2 else next(iter(possible), order or "day-first")
        if order is not None and possible and order not in possible:
            raise ValueError(f"is no time that is written {order}")
        day, month = found["first"], found["second"]
        if chosen == "month-first":
            day, month = month, day
    elif (found := _MONTH_NAMED.fullmatch(text)) and (found["month"] or found["month_first"])[:3].lower() in _MONTHS:
        month = str(_MONTHS.index((found["month"] or found["month_first"])[:3].lower()) + 1)
        day = found["day"] or found["day_second"]
    elif found := _YEAR_FIRST.fullmatch(text):
        day, month = found["day"], found["month"]
    else:
        return text
    year = found["year"] if len(found["year"]) == 4 else f"20{found['year']}"
    date = f"{year}-{month:0>2}-{day:0>2}"
    if found["hour"] is None:
        return date
    hour = int(found["hour"])
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("is no time")
        hour = hour % 12 + 12 * (found["half"].lower() == "p")
    zone = re.sub(r"(?i)^(?:UTC|GMT|Z)$", "+00:00", (found["zone"] or "").strip())
    zone = f"{zone}:00" if re.fullmatch(r"[+-]\d\d", zone) else zone
    return f"{date}T{hour:02}:{found['minute']}:{found['second_of'] or '00'}{(found['part'] or '')[:7]}{zone}"


def _shown(value: Any) -> str:
    """How a message calls a value: as it stands if it looks like a number or a time; another one may name a person."""
    if isinstance(value, dict | list):
        return "a nested value"
    text = str(value)
    return repr(text) if _NUMERIC.fullmatch(text) else f"{len(text):,} characters"

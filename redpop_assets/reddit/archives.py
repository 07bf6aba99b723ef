"""Files of posts, read as chunks in bounded memory: dumps, tables, and lists in one JSON document.

A dump has one JSON object a line (Pushshift, Arctic Shift), a table is CSV, a document is a JSON array of submissions
or the annotations of RedCaps. Each may be plain, gzip or zstd. What is read stays as the archive has it, with two
exceptions: CSV, which knows nothing but text, is given the types of the API, and annotations are given its names.
Broken lines are counted and sampled, never fatal.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from redpop_assets.errors import ArchiveError
from redpop_assets.reddit.archive_files import CUT, ArchiveFile, OpenArchive, sha256_of_first
from redpop_assets.reddit.cleaning import parse_created_utc, parse_post_id

ObservedAtRule = Literal["observed_at", "retrieved_2nd_on", "retrieved_on", "retrieved_utc", "given", "newest_post"]


@dataclass(frozen=True)
class ArchivedPost:
    """One row of an archive.

    `submission` is the object as stored, with a base36 `id` or a `name`. `observed_at` (aware, UTC) is when its score
    was read, and `observed_at_rule` says how that is known: a field of the row, `given` by the caller, or
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
class BrokenLine:
    """A line that is no post: its number, from 1, and what is wrong with it. In a document, elements count."""

    line: int
    error: str


@dataclass(frozen=True)
class Position:
    """How far a file was read.

    `records` lines (elements of a document) come from the first `bytes_read` of the `bytes_total` bytes of the file as
    it lies on disk, compressed or not; `sha256` is the digest of these first bytes, hexadecimal.
    """

    records: int
    bytes_read: int
    bytes_total: int
    sha256: str


@dataclass(frozen=True)
class Chunk:
    """The next rows, possibly none, where they end, and the counts from the start of this reading up to there.

    `broken` counts lines that are no post, `broken_samples` holds the first of them, at most 20. `other_subreddit`
    counts posts of other communities, which are left out.
    """

    rows: list[ArchivedPost]
    broken: int
    broken_samples: tuple[BrokenLine, ...]
    other_subreddit: int
    position: Position

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far."""
        return self.position.bytes_read

    @property
    def bytes_total(self) -> int:
        """Size of the file."""
        return self.position.bytes_total


BROKEN_SAMPLES: Final = 20

_CSV_REQUIRED: Final = ("id", "title", "created_utc", "score", "url")
_BOOL_COLUMNS: Final = frozenset(
    {
        *(
            "archived",
            "contest_mode",
            "hide_score",
            "hidden",
            "is_crosspostable",
            "is_created_from_ads_ui",
            "is_gallery",
        ),
        *("is_meta", "is_original_content", "is_reddit_media_domain", "is_robot_indexable", "is_self", "is_video"),
        *("locked", "media_only", "no_follow", "over_18", "pinned", "promoted", "quarantine", "saved", "send_replies"),
        *("spoiler", "stickied"),
    }
)
_INT_COLUMNS: Final = frozenset(
    {
        "score",
        "ups",
        "downs",
        "num_comments",
        "num_crossposts",
        "gilded",
        "subreddit_subscribers",
        "total_awards_received",
    }
)
_FLOAT_COLUMNS: Final = frozenset({"created", "created_utc", "upvote_ratio"})
_BOOLEANS: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_LISTINGS: Final = frozenset({"new", "hot", "rising", "top", "controversial"})
_TIME_FILTERS: Final = frozenset({"hour", "day", "week", "month", "year", "all"})
_FILTERED_LISTINGS: Final = frozenset({"top", "controversial"})

# An annotation file of RedCaps, which may be a single line like a dump of one post.
_ANNOTATIONS: Final = re.compile(r'\s*\{\s*"(?:info|annotations)"\s*:')
_HEAD_LENGTH: Final = 4096
_LONGEST_LINE: Final = 16 * 1024 * 1024
_WINDOW: Final = 64 * 1024
_MORE_OF_A_NUMBER: Final = ("", *".eE+-0123456789")
_LINES_WITHOUT_CHUNK: Final = 100_000
# The clocks of a collector and of Reddit differ; more than this is a wrong observed_at.
_CLOCK_SKEW: Final = timedelta(hours=1)


class _BrokenRowError(Exception):
    """One line is no post; the message says why."""


class _BrokenDocumentError(Exception):
    """A JSON document is broken where the message says; what follows cannot be read."""


_CUT: Final = (*CUT, _BrokenDocumentError)


@dataclass(frozen=True)
class _Row:
    """A post as it lies in the file, before the file as a whole decides when it was observed."""

    submission: dict[str, Any]
    created_at: datetime
    observed: tuple[datetime, ObservedAtRule] | None
    listing: tuple[str, str, int] | None


# Number of a line or element, and its post; or what is wrong with it; or None where it is seen to be of another
# community without reading all of it.
_Rows = Iterator[tuple[int, _Row | str | None]]


@dataclass
class _Tally:
    broken: int = 0
    samples: list[BrokenLine] = field(default_factory=list)
    other_subreddit: int = 0
    posts: int = 0

    def count_broken(self, line: int, error: str) -> None:
        self.broken += 1
        if len(self.samples) < BROKEN_SAMPLES:
            self.samples.append(BrokenLine(line, error))


def read(
    path: Path,
    *,
    subreddits: Collection[str] | None = None,
    observed_at: datetime | None = None,
    chunk_size: int = 1000,
    after: Position | None = None,
) -> Iterator[Chunk]:
    """Read the posts of some communities from a file; the last chunk may be empty and carries the final counts.

    CSV needs at least the columns id, title, created_utc, score and url. A line of a dump, or an element of a JSON
    array, is a submission, a `{"kind": "t3", "data": …}` wrapper, a record `{"data": …, "observed_at": …, "listing": …,
    "position": …}`, or an annotation of RedCaps, whose files `{"info": …, "annotations": […]}` are read as well. Format
    and compression come from the name (.csv, .ndjson, .jsonl; .gz, .zst), else from the content.

    Args:
        path: the file.
        subreddits: whose posts are wanted (case ignored); None for all. Posts of others are counted and left out; of
            another community's line in a dump no more is checked than that it is JSON with a title. Rows without a
            community belong to the one that is wanted; where several are, they are broken.
        observed_at: when the scores were read (aware), for rows that do not say so. Without it, that is when the newest
            post of the file was made, for which the file is read twice.
        chunk_size: most rows of a chunk.
        after: begin behind the records of an earlier reading of the same bytes (see `is_prefix`).

    Raises:
        ArchiveError: at once if the file cannot be read, is of an unknown kind or lacks a column; at the end, after the
            last chunk, if it is cut or damaged, or held no post at all.
    """
    if observed_at is not None and observed_at.tzinfo is None:
        raise ArchiveError("The time at which the archive was taken needs a time zone, such as 2013-08-20T00:00:00Z.")
    if chunk_size < 1:
        raise ArchiveError(f"The chunk size must be at least 1, not {chunk_size}.")
    wanted = None if subreddits is None else frozenset(name.lower() for name in subreddits)
    archive = _Archive(path)
    skip = after.records if after else 0
    return _chunks(archive, wanted, observed_at.astimezone(UTC) if observed_at else None, chunk_size, skip)


def is_prefix(path: Path, position: Position) -> bool:
    """Whether the file is as long as it was at `position` and begins with the bytes that were read by then.

    Raises:
        ArchiveError: the file cannot be read.
    """
    file = ArchiveFile(path)
    return file.size == position.bytes_total and sha256_of_first(path, position.bytes_read) == position.sha256


def _chunks(
    archive: "_Archive", wanted: frozenset[str] | None, observed_at: datetime | None, chunk_size: int, skip: int
) -> Iterator[Chunk]:
    tally = _Tally()
    rows: list[ArchivedPost] = []
    fallback: tuple[datetime, ObservedAtRule] | None = (observed_at, "given") if observed_at else None
    number = records = skip
    cut: BaseException | None = None
    with archive.file.open() as source:

        def chunk() -> Chunk:
            position = Position(number, source.bytes_read(), archive.file.size, source.sha256())
            return Chunk(rows, tally.broken, tuple(tally.samples), tally.other_subreddit, position)

        def observed(row: _Row) -> tuple[datetime, ObservedAtRule]:
            nonlocal fallback
            if row.observed is not None:
                return row.observed
            if fallback is not None:
                return fallback
            newest: tuple[datetime, ObservedAtRule] = (archive.newest_post(), "newest_post")
            fallback = newest
            return newest

        found = archive.rows(source, skip, wanted)
        while True:
            try:
                number, row = next(found)
            except StopIteration:
                break
            except _CUT as error:
                cut = error
                break
            if row is None:
                tally.posts += 1
                tally.other_subreddit += 1
            elif isinstance(row, str):
                tally.count_broken(number, row)
            else:
                try:
                    if _is_of_other(row, wanted):
                        tally.other_subreddit += 1
                    else:
                        rows.append(_archived(row, *observed(row)))
                    tally.posts += 1
                except _BrokenRowError as error:
                    tally.count_broken(number, str(error))
            if len(rows) >= chunk_size or number - records >= _LINES_WITHOUT_CHUNK:
                yield chunk()
                rows, records = [], number
        yield chunk()
    if cut is not None:
        raise ArchiveError(
            f"{archive.file.path} is cut or damaged ({str(cut) or type(cut).__name__}): the {tally.posts} posts before "
            "that point were read, the rest is lost. Get the whole file and import it again."
        ) from cut
    if tally.posts == 0 and skip == 0:
        first = f" Line {tally.samples[0].line}: {tally.samples[0].error}." if tally.samples else ""
        raise ArchiveError(
            f"{archive.file.path} holds no post.{first} Expected a table of posts or a dump of submissions."
        )


def _is_of_other(row: _Row, wanted: frozenset[str] | None) -> bool:
    own = row.submission.get("subreddit")
    if wanted is None:
        return False
    if isinstance(own, str) and own:
        return own.lower() not in wanted
    if len(wanted) > 1:
        raise _BrokenRowError("no subreddit; if all posts are of one community, import the file for that one alone")
    return False


def _archived(row: _Row, observed_at: datetime, rule: ObservedAtRule) -> ArchivedPost:
    if observed_at + _CLOCK_SKEW < row.created_at:
        created = f"{row.created_at:%Y-%m-%d %H:%M}"
        raise _BrokenRowError(f"created at {created}, after it was observed ({observed_at:%Y-%m-%d %H:%M}, {rule})")
    listing, time_filter, rank = row.listing or (None, None, None)
    return ArchivedPost(row.submission, observed_at, rule, listing, time_filter, rank)


class _Archive:
    """A file of posts whose format is known."""

    def __init__(self, path: Path) -> None:
        self.file = ArchiveFile(path)
        head = self._head()
        first = head.strip()[:1]
        self.rows: Callable[[OpenArchive, int, frozenset[str] | None], _Rows]
        if self.file.suffix in (".ndjson", ".jsonl"):
            self.rows = _line_rows
        elif self.file.suffix == ".csv" or first not in ("{", "["):
            self.rows = _table_rows
            with self.file.open() as source:
                self._require_columns(source)
        else:
            self.rows = _document_rows if first == "[" or _ANNOTATIONS.match(head) else _line_rows

    def newest_post(self) -> datetime:
        """Time of the newest post of the whole file, as far as it can be read."""
        newest = datetime.min.replace(tzinfo=UTC)
        with self.file.open() as source:
            try:
                for _, row in self.rows(source, 0, None):
                    if isinstance(row, _Row):
                        newest = max(newest, row.created_at)
            except _CUT:
                pass  # the first reading meets the same damage, and reports it
        return newest

    def _head(self) -> str:
        """The beginning of the text, white space before it left out."""
        with self.file.open() as source:
            try:
                while block := source.text.read(_HEAD_LENGTH):
                    if block.strip():
                        return block.lstrip()
            except _CUT:
                pass  # reading the rows meets the same damage, and reports it
        return ""

    def _require_columns(self, source: OpenArchive) -> None:
        path = self.file.path
        try:
            header = next(csv.reader(source.text), None)
        except (csv.Error, *_CUT) as error:
            raise ArchiveError(
                f"{path} is cut or damaged ({str(error) or type(error).__name__}) before its first post: get the "
                "whole file and import it again."
            ) from error
        if header is None:
            raise ArchiveError(f"{path} holds no post: it is empty.")
        missing = [name for name in _CSV_REQUIRED if name not in header]
        if missing:
            raise ArchiveError(
                f"{path} has no column {', '.join(missing)}. A table of posts needs {', '.join(_CSV_REQUIRED)}; "
                "a dump needs one JSON object a line."
            )


def _table_rows(source: OpenArchive, skip: int, wanted: frozenset[str] | None) -> _Rows:
    del wanted  # a cell is not known before its row is
    header_reader = csv.reader(source.text)
    header = next(header_reader)
    # Lines count, not rows: a quoted cell may hold several. The header is read again.
    done = max(header_reader.line_num, skip)
    for _ in islice(source.text, done - header_reader.line_num):
        pass
    reader = csv.reader(source.text, strict=True)
    while True:
        try:
            values = next(reader)
            if not values:
                continue
            submission = _csv_submission(header, values)
            row: _Row | str = _row(submission, submission)
        except StopIteration:
            return
        except (csv.Error, _BrokenRowError) as error:
            row = str(error)
        yield done + reader.line_num, row


def _csv_submission(header: list[str], values: list[str]) -> dict[str, Any]:
    if len(values) != len(header):
        raise _BrokenRowError(f"{len(values)} fields, the header has {len(header)}")
    _require_utf8("".join(values))
    submission: dict[str, Any] = {}
    for name, value in zip(header, values, strict=True):
        try:
            submission[name] = _typed(name, value)
        except ValueError:
            raise _BrokenRowError(f"column {name} holds {value[:40]!r}") from None
    return submission


def _typed(name: str, value: str) -> Any:
    """A cell as the API would give it; ValueError where it cannot be that."""
    if name in ("title", "selftext"):
        return value
    if not value:
        return None
    if name == "id":
        return value.removeprefix("t3_")
    if name in _BOOL_COLUMNS:
        return _boolean(value)
    if name == "edited":
        return _boolean(value) if value.lower() in _BOOLEANS else _finite(value)
    if name in _INT_COLUMNS:
        return _whole(value)
    if name in _FLOAT_COLUMNS:
        return _finite(value)
    return value


def _boolean(value: str) -> bool:
    if value.lower() not in _BOOLEANS:
        raise ValueError(value)
    return _BOOLEANS[value.lower()]


def _whole(value: str) -> int:
    # Tables that passed through floating point say "984.0".
    return int(value.removesuffix(".0"))


def _finite(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no finite number")
    return number


class _Head(msgspec.Struct):
    """What a line of a dump says of its community, read without building the rest of it."""

    subreddit: str
    title: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_HEAD: Final = msgspec.json.Decoder(_Head)


def _is_seen_to_be_of_other(line: bytes, wanted: frozenset[str]) -> bool:
    """Whether a line is a submission of another community. False where that takes a closer look."""
    try:
        head = _HEAD.decode(line)
        if not line.isascii():
            line.decode()  # what is skipped is not decoded otherwise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return head.data is msgspec.UNSET and head.subreddit != "" and head.subreddit.lower() not in wanted


def _line_rows(source: OpenArchive, skip: int, wanted: frozenset[str] | None) -> _Rows:
    number = 0
    while line := source.binary.readline(_LONGEST_LINE):
        number += 1
        too_long = len(line) == _LONGEST_LINE and not line.endswith(b"\n")
        if too_long:
            while (rest := source.binary.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
        if number <= skip:
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if too_long:
            yield number, f"longer than {_LONGEST_LINE} bytes"
        elif wanted is not None and _is_seen_to_be_of_other(line, wanted):
            yield number, None
        elif line.strip():
            yield number, _line_row(line)


def _line_row(line: bytes) -> _Row | str:
    try:
        return _json_row(_DECODER.decode(line.decode()))
    except UnicodeDecodeError:
        return "no valid UTF-8"
    except (ValueError, RecursionError, _BrokenRowError) as error:
        return str(error)


def _document_rows(source: OpenArchive, skip: int, wanted: frozenset[str] | None) -> _Rows:
    del wanted  # an element has to be read to find its end
    document = _Document(source.text)
    if document.next_character() == "{":
        document.enter("annotations")
    document.take("[")
    number = 0
    while document.next_character() != "]":
        number += 1
        value = document.value()
        if number > skip:
            try:
                yield number, _json_row(value)
            except _BrokenRowError as error:
                yield number, str(error)
        if document.next_character() != "]":
            document.take(",")


class _Document:
    """One JSON text, read value by value through a window that need not hold more than one of them.

    ijson (3.6 with yajl2_c) was tried in its place. It knows no limit to the length of a value, and takes memory that
    grows with the square of its depth: 970 MB for 20,000 nested arrays, a file of 40 kB. It makes a question mark of a
    lone surrogate, and a document ends for it at an integer of more than 64 bits or a byte order mark. It is slower,
    too: 86 MB of submissions per second of a processor, where this reads 118.

    Every method raises `_BrokenDocumentError` where the text is no JSON, or ends too early.
    """

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._window = ""
        self._at = 0
        self._ended = False

    def next_character(self) -> str:
        """The next character that is no white space; it stays."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._window):
                return self._window[self._at]
            if self._ended:
                raise _BrokenDocumentError("the document ends too early")
            self._read_on()

    def take(self, character: str) -> None:
        """Go behind the next character, which has to be this one."""
        found = self.next_character()
        if found != character:
            raise _BrokenDocumentError(f"{found!r} instead of {character!r}")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.next_character()
        while True:
            problem = "a value that is too long"
            try:
                value, end = _DECODER.raw_decode(self._window, self._at)
                # The window may end inside a number, and what is there of it is a number as well.
                if self._ended or self._window[end : end + 1] not in _MORE_OF_A_NUMBER:
                    _require_utf8(self._window[self._at : end])
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                problem = str(error)
            except (ValueError, RecursionError, _BrokenRowError) as error:
                raise _BrokenDocumentError(str(error)) from error
            if self._ended or len(self._window) - self._at >= _LONGEST_LINE:
                raise _BrokenDocumentError(problem)
            self._read_on()

    def enter(self, name: str) -> None:
        """Go to the value of this name in the object that comes next, and forget the values before it."""
        self.take("{")
        while self.next_character() != "}":
            found = self.value()
            self.take(":")
            if found == name:
                return
            self.value()
            if self.next_character() != "}":
                self.take(",")
        raise _BrokenDocumentError(f"no {name}")

    def _read_on(self) -> None:
        rest = self._window[self._at :]
        # At least as much again, so that a long value is not tried again and again.
        more = self._text.read(max(_WINDOW, len(rest)))
        self._window, self._at, self._ended = rest + more, 0, not more


def _refuse_constant(name: str) -> None:
    # Python reads and writes NaN and Infinity in JSON; the warehouse, like the standard, does not.
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _json_row(record: Any) -> _Row:
    if not isinstance(record, dict):
        raise _BrokenRowError(f"a JSON {type(record).__name__}, not an object")
    if "raw_caption" in record and "title" not in record:
        return _row(_submission_of_annotation(record), record)
    data = record.get("data")
    if not isinstance(data, dict) or "id" in record:
        return _row(record, record)
    if record.get("kind", "t3") != "t3":
        raise _BrokenRowError(f"kind {record['kind']!r} is no submission")
    return _row(data, record)


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


def _row(submission: dict[str, Any], record: Mapping[str, Any]) -> _Row:
    if (parse_post_id(submission.get("id")) or parse_post_id(submission.get("name"))) is None:
        raise _BrokenRowError("no usable id")
    if not isinstance(submission.get("title"), str):
        raise _BrokenRowError("no title (a line of comments?)")
    created_at = parse_created_utc(submission.get("created_utc"))
    if created_at is None:
        raise _BrokenRowError("no usable created_utc")
    return _Row(submission, created_at, _own_observed_at(submission, record), _listing(submission, record))


def _own_observed_at(
    submission: Mapping[str, Any], record: Mapping[str, Any]
) -> tuple[datetime, ObservedAtRule] | None:
    """When the row itself says that its score was read; of two readings the second, whose score was kept."""
    meta = submission.get("_meta")
    second = meta.get("retrieved_2nd_on") if isinstance(meta, Mapping) else None
    found: list[tuple[ObservedAtRule, Any]] = [
        ("observed_at", record.get("observed_at")),
        ("observed_at", submission.get("observed_at")),
        ("retrieved_2nd_on", second),
        ("retrieved_2nd_on", submission.get("retrieved_2nd_on")),
        ("retrieved_on", submission.get("retrieved_on")),
        ("retrieved_utc", submission.get("retrieved_utc")),
    ]
    for rule, value in found:
        moment = _moment(value)
        if moment is not None:
            return moment, rule
    return None


def _moment(value: Any) -> datetime | None:
    """Epoch seconds, or ISO 8601 that means UTC where it names no zone."""
    moment = parse_created_utc(value)
    if moment is not None or not isinstance(value, str):
        return moment
    try:
        parsed = datetime.fromisoformat(value.strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _listing(submission: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Listing, time filter and rank, where the record was found in a listing of the post's own community.

    A place in r/popular, in a multireddit or in a user's posts says nothing about the community.
    """
    listing, rank, own = record.get("listing"), record.get("position"), submission.get("subreddit")
    if not isinstance(listing, str) or not isinstance(rank, int) or isinstance(rank, bool) or not isinstance(own, str):
        return None
    try:
        parts = urlsplit(listing)
    except ValueError:
        return None
    segments = parts.path.strip("/").lower().split("/")
    if len(segments) != 3 or segments[:2] != ["r", own.lower()] or segments[2] not in _LISTINGS or rank < 0:
        return None
    if segments[2] not in _FILTERED_LISTINGS:
        return segments[2], "", rank
    time_filter = parse_qs(parts.query).get("t", ["day"])[0]
    return (segments[2], time_filter, rank) if time_filter in _TIME_FILTERS else None


def _require_utf8(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _BrokenRowError("no valid UTF-8") from error

"""Files of posts, tables (CSV) and dumps (one JSON object a line), read as chunks in bounded memory.

Each file may be plain, gzip or zstd. What is read stays as the archive has it; only CSV, which knows nothing but text,
is given the types of the API. Broken lines are counted and sampled, never fatal.
"""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import zstandard

from redpop_assets.errors import ArchiveError
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
    """A line that is no post: its number, from 1, and what is wrong with it."""

    line: int
    error: str


@dataclass(frozen=True)
class Chunk:
    """The next rows, possibly none, and the counts from the start of the file up to here.

    `broken` counts lines that are no post, `broken_samples` holds the first of them, at most 20. `other_subreddit`
    counts posts of other communities, which are left out. `bytes_read` of `bytes_total` are bytes of the file as it
    lies on disk, compressed or not.
    """

    rows: list[ArchivedPost]
    broken: int
    broken_samples: tuple[BrokenLine, ...]
    other_subreddit: int
    bytes_read: int
    bytes_total: int


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

_GZIP_MAGIC: Final = b"\x1f\x8b"
# A frame, or one of the sixteen kinds of skippable frame that parallel compressors write first.
_ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes([kind, 0x2A, 0x4D, 0x18]) for kind in range(0x50, 0x60)))
_UNPACK_FIRST: Final = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7-Zip"}
# Dumps of Reddit are written with a window of 2 GiB; by default zstandard refuses more than 128 MiB.
_ZSTD_WINDOW: Final = 2**31
_ZSTD_READ: Final = 16 * 1024
_LONGEST_LINE: Final = 16 * 1024 * 1024
_LINES_WITHOUT_CHUNK: Final = 100_000
# The clocks of a collector and of Reddit differ; more than this is a wrong observed_at.
_CLOCK_SKEW: Final = timedelta(hours=1)
# What decompressors raise when the file is cut or damaged.
_CUT: Final = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, OSError)


class _BrokenRowError(Exception):
    """One line is no post; the message says why."""


@dataclass(frozen=True)
class _Row:
    """A post as it lies in the file, before the file as a whole decides when it was observed."""

    submission: dict[str, Any]
    created_at: datetime
    observed: tuple[datetime, ObservedAtRule] | None
    listing: tuple[str, str, int] | None


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
    path: Path, *, subreddit: str | None = None, observed_at: datetime | None = None, chunk_size: int = 1000
) -> Iterator[Chunk]:
    """Read the posts of one community from a file; the last chunk may be empty and carries the final counts.

    CSV needs at least the columns id, title, created_utc, score and url. A line of a dump is a submission, a
    `{"kind": "t3", "data": …}` wrapper, or a record `{"data": …, "observed_at": …, "listing": …, "position": …}`.
    Format and compression come from the name (.csv, .ndjson, .jsonl; .gz, .zst), else from the content.

    Rows whose `subreddit` differs from `subreddit` (case ignored) are counted and left out; rows without that field
    belong to it. With None all rows are given. When a score was read is taken from the row, else from `observed_at`
    (aware), else from the newest post of the file, for which the file is read twice.

    Raises ArchiveError at once if the file cannot be read, is of an unknown kind or lacks a column; at the end, after
    the last chunk, if it is cut or damaged, or held no post at all.
    """
    if observed_at is not None and observed_at.tzinfo is None:
        raise ArchiveError("The time at which the archive was taken needs a time zone, such as 2013-08-20T00:00:00Z.")
    if chunk_size < 1:
        raise ArchiveError(f"The chunk size must be at least 1, not {chunk_size}.")
    archive = _Archive(path)
    return _chunks(archive, subreddit, observed_at.astimezone(UTC) if observed_at else None, chunk_size)


def _chunks(
    archive: "_Archive", subreddit: str | None, observed_at: datetime | None, chunk_size: int
) -> Iterator[Chunk]:
    tally = _Tally()
    rows: list[ArchivedPost] = []
    fallback: tuple[datetime, ObservedAtRule] | None = (observed_at, "given") if observed_at else None
    lines_since_chunk = 0
    cut: BaseException | None = None
    with archive.open() as source:

        def chunk() -> Chunk:
            read_so_far = source.bytes_read()
            return Chunk(rows, tally.broken, tuple(tally.samples), tally.other_subreddit, read_so_far, archive.size)

        def observed(row: _Row) -> tuple[datetime, ObservedAtRule]:
            nonlocal fallback
            if row.observed is not None:
                return row.observed
            if fallback is not None:
                return fallback
            newest: tuple[datetime, ObservedAtRule] = (archive.newest_post(), "newest_post")
            fallback = newest
            return newest

        lines = archive.rows(source)
        while True:
            try:
                line, row = next(lines)
            except StopIteration:
                break
            except _CUT as error:
                cut = error
                break
            lines_since_chunk += 1
            if isinstance(row, str):
                tally.count_broken(line, row)
            elif _is_of_other(row, subreddit):
                tally.posts += 1
                tally.other_subreddit += 1
            else:
                try:
                    rows.append(_archived(row, *observed(row)))
                    tally.posts += 1
                except _BrokenRowError as error:
                    tally.count_broken(line, str(error))
            if len(rows) >= chunk_size or lines_since_chunk >= _LINES_WITHOUT_CHUNK:
                yield chunk()
                rows, lines_since_chunk = [], 0
        yield chunk()
    if cut is not None:
        raise ArchiveError(
            f"{archive.path} is cut or damaged ({str(cut) or type(cut).__name__}): the {tally.posts} posts before that "
            "point were read, the rest is lost. Get the whole file and import it again."
        ) from cut
    if tally.posts == 0:
        first = f" Line {tally.samples[0].line}: {tally.samples[0].error}." if tally.samples else ""
        raise ArchiveError(f"{archive.path} holds no post.{first} Expected a table of posts or a dump of submissions.")


def _is_of_other(row: _Row, subreddit: str | None) -> bool:
    own = row.submission.get("subreddit")
    return subreddit is not None and isinstance(own, str) and own != "" and own.lower() != subreddit.lower()


def _archived(row: _Row, observed_at: datetime, rule: ObservedAtRule) -> ArchivedPost:
    if observed_at + _CLOCK_SKEW < row.created_at:
        created = f"{row.created_at:%Y-%m-%d %H:%M}"
        raise _BrokenRowError(f"created at {created}, after it was observed ({observed_at:%Y-%m-%d %H:%M}, {rule})")
    listing, time_filter, rank = row.listing or (None, None, None)
    return ArchivedPost(row.submission, observed_at, rule, listing, time_filter, rank)


class _Archive:
    """A file of posts whose compression and format are known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                head = file.read(8)
            self.size = path.stat().st_size
        except OSError as error:
            raise ArchiveError(f"Cannot read {path}: {error.strerror or error}.") from error
        for magic, name in _UNPACK_FIRST.items():
            if head.startswith(magic):
                raise ArchiveError(f"{path} is a {name} file: unpack it first, or pack it with gzip or zstd.")
        self._compression = (
            "gzip" if head.startswith(_GZIP_MAGIC) else "zstd" if head.startswith(_ZSTD_MAGICS) else "none"
        )
        suffixes = [suffix.lower() for suffix in path.suffixes]
        expected = {".gz": "gzip", ".zst": "zstd"}.get(suffixes[-1]) if suffixes else None
        if expected and self._compression != expected and self.size:
            raise ArchiveError(f"{path} is named like a {expected} file but does not begin like one: get it again.")
        named = suffixes[-2] if expected and len(suffixes) > 1 else suffixes[-1] if suffixes and not expected else ""
        first = self._first_character()
        is_table = named == ".csv" or (named not in (".ndjson", ".jsonl") and first not in "{[")
        if first == "[" and not is_table:
            raise ArchiveError(f"{path} is one JSON array: write one object a line instead (jq -c '.[]').")
        self._rows: Callable[[_Source], Iterator[tuple[int, _Row | str]]] = _csv_rows if is_table else _json_rows
        if is_table:
            with self.open() as source:
                self._require_columns(source)

    def open(self) -> "_Source":
        return _Source(self.path, self._compression)

    def rows(self, source: "_Source") -> Iterator[tuple[int, "_Row | str"]]:
        """Line number and post, or line number and what is wrong with the line."""
        return self._rows(source)

    def newest_post(self) -> datetime:
        """Time of the newest post of the whole file, as far as it can be read."""
        newest = datetime.min.replace(tzinfo=UTC)
        with self.open() as source:
            try:
                for _, row in self.rows(source):
                    if isinstance(row, _Row):
                        newest = max(newest, row.created_at)
            except _CUT:
                pass  # the first reading meets the same damage, and reports it
        return newest

    def _first_character(self) -> str:
        with self.open() as source:
            try:
                while block := source.text.read(64):
                    if block.strip():
                        return block.strip()[0]
            except _CUT:
                pass  # reading the rows meets the same damage, and reports it
        return " "

    def _require_columns(self, source: "_Source") -> None:
        try:
            header = next(csv.reader(source.text), None)
        except (csv.Error, *_CUT) as error:
            raise ArchiveError(
                f"{self.path} is cut or damaged ({str(error) or type(error).__name__}) before its first post: get the "
                "whole file and import it again."
            ) from error
        if header is None:
            raise ArchiveError(f"{self.path} holds no post: it is empty.")
        missing = [name for name in _CSV_REQUIRED if name not in header]
        if missing:
            raise ArchiveError(
                f"{self.path} has no column {', '.join(missing)}. A table of posts needs {', '.join(_CSV_REQUIRED)}; "
                "a dump needs one JSON object a line."
            )


class _Source:
    """The text of an open archive, and how many bytes of the file it has taken."""

    def __init__(self, path: Path, compression: str) -> None:
        self._file = path.open("rb")
        binary: Any = self._file
        if compression == "gzip":
            binary = gzip.GzipFile(fileobj=self._file)
        elif compression == "zstd":
            binary = io.BufferedReader(_ZstdFrames(self._file), 128 * 1024)
        # Bytes that are no UTF-8 become lone surrogates, so that they spoil their own line only. newline="" leaves line
        # ends to the CSV parser, which alone knows those inside quotes.
        self.text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")

    def bytes_read(self) -> int:
        return self._file.tell()

    def __enter__(self) -> "_Source":
        return self

    def __exit__(self, *exception: object) -> None:
        self.text.close()
        self._file.close()


class _ZstdFrames(io.RawIOBase):
    """Decompressed bytes of all frames of a zstd file; zstandard's own reader ends silently when a frame is cut."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._inside_frame = False
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            compressed = self._compressed or self._file.read(_ZSTD_READ)
            if not compressed:
                if self._inside_frame:
                    raise EOFError("the file ends inside a zstd frame")
                return 0
            self._ready = memoryview(self._frame.decompress(compressed))
            self._inside_frame = not self._frame.eof
            self._compressed = self._frame.unused_data
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def _csv_rows(source: _Source) -> Iterator[tuple[int, _Row | str]]:
    reader = csv.reader(source.text, strict=True)
    header = next(reader)
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
        yield reader.line_num, row


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
        raise ValueError(value)
    return number


def _json_rows(source: _Source) -> Iterator[tuple[int, _Row | str]]:
    number = 0
    while line := source.text.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith("\n"):
            while (rest := source.text.readline(_LONGEST_LINE)) and not rest.endswith("\n"):
                pass
            yield number, f"longer than {_LONGEST_LINE} characters"
            continue
        if not line.strip():
            continue
        try:
            _require_utf8(line)
            row: _Row | str = _json_row(json.loads(line, parse_constant=_refuse_constant))
        except (ValueError, RecursionError, _BrokenRowError) as error:
            row = str(error)
        yield number, row


def _refuse_constant(name: str) -> None:
    # Python reads and writes NaN and Infinity in JSON; the warehouse, like the standard, does not.
    raise ValueError(f"{name} is no JSON")


def _json_row(record: Any) -> _Row:
    if not isinstance(record, dict):
        raise _BrokenRowError(f"a JSON {type(record).__name__}, not an object")
    data = record.get("data")
    if not isinstance(data, dict) or "id" in record:
        return _row(record, record)
    if record.get("kind", "t3") != "t3":
        raise _BrokenRowError(f"kind {record['kind']!r} is no submission")
    return _row(data, record)


def _row(submission: dict[str, Any], record: Mapping[str, Any]) -> _Row:
    if (parse_post_id(submission.get("id")) or parse_post_id(submission.get("name"))) is None:
        raise _BrokenRowError("no usable id")
    if not isinstance(submission.get("title"), str):
        raise _BrokenRowError("no title; a line of comments?")
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

"""Files of posts and of readings of their scores, as chunks in bounded memory: dumps, tables, lists in one document.

A dump has one JSON object a line (Pushshift, Arctic Shift), a table is CSV in any dialect, a document is a JSON array
of submissions, an answer `{"data": [...]}`, or the annotations of RedCaps. Each may be plain, gzip or zstd. In any of
them a post may have many readings (`redpop_assets.sources.archives.series`), and a file may hold readings alone, of
posts that are told of elsewhere. What is read gets the names and types of the API (`redpop_assets.sources.typed`) and
stays as the archive has it otherwise.
Broken lines are counted and sampled, never fatal; so are values that had to be left out.
"""

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from redpop_assets.errors import ArchiveError
from redpop_assets.literals import JSON
from redpop_assets.sources.archives.columns import SAMPLE, Columns, Told, is_known, understand
from redpop_assets.sources.archives.document import (
    MANY_BRACKETS,
    MOST_BRACKETS,
    NOTHING_MESSAGE,
    WINDOW,
    BrokenDocumentError,
    Document,
    NothingError,
    require_utf8,
)
from redpop_assets.sources.archives.files import CUT, MOST_NOTHING, ArchiveFile, OpenArchive, foreign, sha256_of_first
from redpop_assets.sources.archives.one_record import (
    NO_TIME,
    TIMES_OF_READING,
    ArchivedPost,
    ArchivedReading,
    Layout,
    ObservedAtRule,
    Readings,
    Row,
    fields_of,
    is_alone,
    json_row,
    post_id_of,
    readings_of,
    row_of,
)
from redpop_assets.sources.archives.series import (
    EITHER,
    age_of,
    age_unit,
    differ_within_a_post,
    series_of,
    time_of,
)
from redpop_assets.sources.archives.tables import LONGEST_LINE, Reading, Table
from redpop_assets.sources.typed import (
    ALIASES,
    TOO_DEEP,
    BrokenRecordError,
    has_value,
)

T = TypeVar("T")


@dataclass(frozen=True)
class BrokenLine:
    """A line that is no post, or a value of one that is none: its number, from 1, and what is wrong with it.

    In a document, elements count.
    """

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

    `rows` are posts, each with a reading; `readings` are further ones of posts, of this file or of others. `broken`
    counts lines that are no post, `broken_samples` holds the first of them, at most 20. `emptied` counts values of
    posts that could not be meant and were left out, `emptied_samples` likewise. `other_subreddit` counts posts of other
    communities, which are left out; `days_alone` those of whose time only the day was known. `more` says that a limit
    ended the reading and the file may go on.
    """

    rows: list[ArchivedPost]
    broken: int
    broken_samples: tuple[BrokenLine, ...]
    other_subreddit: int
    position: Position
    emptied: int = 0
    emptied_samples: tuple[BrokenLine, ...] = ()
    days_alone: int = 0
    more: bool = False
    readings: Sequence[ArchivedReading] = ()

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far."""
        return self.position.bytes_read

    @property
    def bytes_total(self) -> int:
        """Size of the file."""
        return self.position.bytes_total


BROKEN_SAMPLES: Final = 20

# Annotations of RedCaps, and the answer of an archive's API: they may be a single line like a dump of one post.
_ANNOTATIONS: Final = re.compile(r'\s*\{\s*"(?:info|annotations)"\s*:')
_ANSWER: Final = re.compile(r'\s*\{\s*"data"\s*:\s*\[')
_HEAD_LENGTH: Final = 4096
_LINES_WITHOUT_CHUNK: Final = 100_000
# A chunk of long posts is short: a post takes some ten times its text while it waits.
_CHUNK_BYTES: Final = 32 * 1024 * 1024
# Unpacked; so much of a file without a post is progress to be told as well.
_BYTES_WITHOUT_CHUNK: Final = 256 * 1024 * 1024
# A file that begins with as many lines none of which is a post is another kind of file.
_MOST_LINES_WITHOUT_POST: Final = 100_000
# The clocks of a collector and of Reddit differ; more than this is a wrong observed_at.
_CLOCK_SKEW: Final = timedelta(hours=1)


_CUT: Final = (*CUT, BrokenDocumentError, NothingError)


# Number of a line or element, and its post; or what is wrong with it; or None where it is seen to be of another
# community without reading all of it; or that there was nothing up to there.
_Rows = Iterator[tuple[int, Row | Readings | str | Reading | None]]
_Made = Iterator[tuple[int, T | str | Reading | None]]
_Records = Callable[[OpenArchive, int, frozenset[str] | None, Callable[[Any], Any]], _Made[Any]]


@dataclass
class _Tally:
    broken: int = 0
    samples: list[BrokenLine] = field(default_factory=list)
    emptied: int = 0
    emptied_samples: list[BrokenLine] = field(default_factory=list)
    days_alone: int = 0
    other_subreddit: int = 0
    posts: int = 0

    def count_broken(self, line: int, error: str) -> None:
        self.broken += 1
        if len(self.samples) < BROKEN_SAMPLES:
            self.samples.append(BrokenLine(line, error))

    def count_emptied(self, line: int, errors: list[str]) -> None:
        self.emptied += len(errors)
        for error in errors[: BROKEN_SAMPLES - len(self.emptied_samples)]:
            self.emptied_samples.append(BrokenLine(line, error))


def read(
    path: Path,
    *,
    subreddits: Collection[str] | None = None,
    observed_at: datetime | None = None,
    chunk_size: int = 1000,
    after: Position | None = None,
    limit: int | None = None,
    columns: Told | None = None,
) -> Iterator[Chunk]:
    """Read the posts of some communities from a file; the last chunk may be empty and carries the final counts.

    A table needs columns with id, title, time, score and url, under any name (`columns.understand`); one of readings
    alone needs id, score and the time, or the age, at which it was read. A line of a dump,
    or an element of a JSON array, is a submission, a `{"kind": "t3", "data": …}` wrapper, a record `{"data": …,
    "observed_at": …, "listing": …, "position": …}`, or an annotation of RedCaps, whose files `{"info": …,
    "annotations": […]}` are read as well. Format and compression come from the name (.csv, .tsv, .ndjson, .jsonl; .gz,
    .zst), else from the content.

    Args:
        path: the file.
        subreddits: whose posts are wanted (case ignored); None for all. Posts of others are counted and left out; of
            another community's line in a dump no more is checked than that it is JSON with a title. Rows without a
            community belong to the one that is wanted; where several are, they are broken.
        observed_at: when the scores were read (aware), for rows that do not say so. Without it, that is when the newest
            post of the file was made, for which the file is read twice.
        chunk_size: most rows of a chunk.
        after: begin behind the records of an earlier reading of the same bytes (see `is_prefix`).
        limit: most records to look at, broken ones and those of others included; None for all.
        columns: what is known of the columns of a table; by default their names and what stands in them tell.

    Raises:
        ArchiveError: at once if the file cannot be read, is of an unknown kind or lacks a column; at the end, after the
            last chunk, if it is cut or damaged, goes on for ever without saying anything, or held no post at all.
    """
    if observed_at is not None and observed_at.tzinfo is None:
        raise ArchiveError("The time at which the archive was taken needs a time zone, such as 2013-08-20T00:00:00Z.")
    if observed_at is not None and observed_at > datetime.now(UTC) + _CLOCK_SKEW:
        raise ArchiveError(f"The time at which the archive was taken, {observed_at:%Y-%m-%d %H:%M}, is yet to come.")
    if chunk_size < 1:
        raise ArchiveError(f"The chunk size must be at least 1, not {chunk_size}.")
    if limit is not None and limit < 1:
        raise ArchiveError(f"The limit must be at least 1, not {limit}.")
    wanted = None if subreddits is None else frozenset(name.lower() for name in subreddits)
    archive = _Archive(path, columns or Told())
    archive.community = community_of(path, wanted or ())
    skip = after.records if after else 0
    return _chunks(archive, wanted, observed_at.astimezone(UTC) if observed_at else None, chunk_size, skip, limit)


def read_record(record: Any) -> tuple[ArchivedPost, list[str]]:
    """One record of an archive that is no file, and what had to be left out of it, in words.

    Raises:
        BrokenRecordError: it is no post, or does not say when its score was read: without that its score means nothing.
    """
    row = json_row(record, Layout())
    if isinstance(row, Readings):
        raise BrokenRecordError("no title (a line of comments?)")
    if row.observed is None:
        raise BrokenRecordError(NO_TIME)
    return _archived(row, *row.observed, None), row.emptied


def community_of(path: Path, wanted: Collection[str]) -> str | None:
    """The community among those wanted, in lower case, of posts that name none: the only one, or the file's name.

    `pics.csv.gz`, `r_pics_2020.csv` and `2020-pics.csv` are of r/pics, if no other community is named there.
    """
    if len(wanted) == 1:
        return next(iter(wanted))
    name = path.name.lower().partition(".")[0] if path.name.count(".") <= 2 else path.name.lower()
    named = {each for each in wanted if re.search(rf"(?<![a-z0-9]){re.escape(each)}(?![a-z0-9])", name)}
    longest = {each for each in named if not any(each != other and each in other for other in named)}
    return next(iter(longest)) if len(longest) == 1 else None


def columns_of(path: Path, columns: Told | None = None) -> Columns | None:
    """What is understood of a table; None for a file of another kind, whose fields have names.

    Raises:
        ArchiveError: as `read` at once.
    """
    return _Archive(path, columns or Told()).columns


def is_prefix(path: Path, position: Position) -> bool:
    """Whether the file is as long as it was at `position` and begins with the bytes that were read by then.

    Raises:
        ArchiveError: the file cannot be read.
    """
    file = ArchiveFile(path)
    return file.size == position.bytes_total and sha256_of_first(path, position.bytes_read) == position.sha256


def _chunks(
    archive: "_Archive",
    wanted: frozenset[str] | None,
    observed_at: datetime | None,
    chunk_size: int,
    skip: int,
    limit: int | None,
) -> Iterator[Chunk]:
    tally = _Tally()
    rows: list[ArchivedPost] = []
    readings: list[ArchivedReading] = []
    now = datetime.now(UTC)
    fallback: tuple[datetime, ObservedAtRule] | None = (observed_at, "given") if observed_at else None
    number = skip
    looked_at = records = reported = kept = 0
    cut: BaseException | None = None
    with archive.file.open() as source:

        def chunk() -> Chunk:
            position = Position(number, source.bytes_read(), archive.file.size, source.sha256())
            return Chunk(
                rows,
                tally.broken,
                tuple(tally.samples),
                tally.other_subreddit,
                position,
                tally.emptied,
                tuple(tally.emptied_samples),
                tally.days_alone,
                limit is not None and looked_at >= limit,
                readings,
            )

        def possible(found: Iterable[ArchivedReading]) -> list[ArchivedReading]:
            """Those that may be true; of the others it is said why not."""
            good = []
            for reading in found:
                problem = _problem_of(reading, now)
                if problem is None:
                    good.append(replace(reading, line=number))
                else:
                    tally.count_emptied(number, [problem])
            return good

        def observed(row: Row) -> tuple[datetime, ObservedAtRule]:
            nonlocal fallback
            if row.observed is not None:
                return row.observed
            if fallback is not None:
                return fallback
            newest: tuple[datetime, ObservedAtRule] = (archive.newest_post(), "newest_post")
            fallback = newest
            return newest

        found = archive.rows(source, skip, wanted)
        while limit is None or looked_at < limit:
            before = source.unpacked()
            try:
                line, row = next(found)
            except StopIteration:
                break
            except _CUT as error:
                cut = error
                break
            number = max(number, line)
            if row is Reading.NOTHING:
                pass
            elif row is None:
                tally.posts += 1
                tally.other_subreddit += 1
            elif isinstance(row, str):
                tally.count_broken(number, row)
                if tally.posts == 0 and skip == 0 and tally.broken >= _MOST_LINES_WITHOUT_POST:
                    break
            elif isinstance(row, Readings):
                tally.posts += 1
                if wanted is not None and row.subreddit is not None and row.subreddit.lower() not in wanted:
                    tally.other_subreddit += 1
                elif len(row.readings) == 1 and (problem := _problem_of(row.readings[0], now)):
                    tally.count_broken(number, problem)
                else:
                    readings.extend(possible(row.readings))
                    tally.count_emptied(number, row.emptied)
                    kept += source.unpacked() - before
            else:
                try:
                    if _is_of_other(row, wanted, archive.community):
                        tally.other_subreddit += 1
                    else:
                        rows.append(_archived(row, *observed(row), now))
                        readings.extend(possible(row.further))
                        tally.count_emptied(number, row.emptied)
                        tally.days_alone += row.day_alone
                        kept += source.unpacked() - before
                    tally.posts += 1
                except BrokenRecordError as error:
                    tally.count_broken(number, str(error))
            looked_at += row is not Reading.NOTHING
            if (
                len(rows) + len(readings) >= chunk_size
                or kept >= _CHUNK_BYTES
                or looked_at - records >= _LINES_WITHOUT_CHUNK
                or source.unpacked() - reported >= _BYTES_WITHOUT_CHUNK
            ):
                yield chunk()
                rows, readings, records, kept, reported = [], [], looked_at, 0, source.unpacked()
        yield chunk()
    if isinstance(cut, NothingError):
        raise ArchiveError(
            f"{archive.file.path}: {cut}. The {tally.posts} posts before that were read; whatever follows is not."
        )
    if cut is not None:
        raise ArchiveError(
            f"{archive.file.path} is cut or damaged ({str(cut) or type(cut).__name__}): the {tally.posts} posts before "
            "that point were read, the rest is lost. Get the whole file and import it again."
        ) from cut
    if tally.posts == 0 and skip == 0 and (limit is None or looked_at < limit or tally.broken):
        first = f" Line {tally.samples[0].line}: {tally.samples[0].error}." if tally.samples else ""
        raise ArchiveError(
            f"{archive.file.path} holds no post.{first} Expected a table of posts or a dump of submissions."
        )


def _is_of_other(row: Row, wanted: frozenset[str] | None, community: str | None) -> bool:
    """Whether a post is of a community that is not wanted; one that names none is of that of the file."""
    own = row.submission.get("subreddit")
    if wanted is None:
        return False
    if isinstance(own, str) and own:
        return own.lower() not in wanted
    if community is None and len(wanted) > 1:
        raise BrokenRecordError(
            "no subreddit; if all posts are of one community, import the file for that one alone (--subreddit NAME)"
        )
    if community is not None:
        row.submission["subreddit"] = community
    return False


def impossible(observed_at: datetime, created_at: datetime | None, now: datetime | None, rule: str = "") -> str | None:
    """Why a post cannot have been read then; None if it can. An hour is left to clocks that differ.

    Args:
        observed_at: when it is said to have been read (aware).
        created_at: when it was made; None where that is not known.
        now: the present; None where the file may be of a world whose clock is ahead.
        rule: how it is known when it was read, for the message.
    """
    said = f"{observed_at:%Y-%m-%d %H:%M}" + (f", {rule}" if rule else "")
    if created_at is not None and observed_at + _CLOCK_SKEW < created_at:
        return f"created at {created_at:%Y-%m-%d %H:%M}, after it was observed ({said})"
    if now is not None and observed_at > now + _CLOCK_SKEW:
        return f"observed at a time that is yet to come ({said})"
    return None


def _problem_of(reading: ArchivedReading, now: datetime) -> str | None:
    return impossible(reading.observed_at, reading.created_at, now) if reading.observed_at else None


def _archived(row: Row, observed_at: datetime, rule: ObservedAtRule, now: datetime | None) -> ArchivedPost:
    if problem := impossible(observed_at, row.created_at, now, rule):
        raise BrokenRecordError(problem)
    listing, time_filter, rank = row.listing or (None, None, None)
    return ArchivedPost(row.submission, observed_at, rule, listing, time_filter, rank)


class _Archive:
    """A file of posts whose format is known."""

    def __init__(self, path: Path, told: Told) -> None:
        self.file = ArchiveFile(path)
        self.columns: Columns | None = None
        # That of the posts that name none; None if it is not known.
        self.community: str | None = None
        head = self._head()
        first = head.strip()[:1]
        self._records: Callable[[OpenArchive, int, frozenset[str] | None, Callable[[Any], Any]], _Made[Any]] | None = (
            None
        )
        if problem := foreign(head.encode("utf-8", "surrogateescape")):
            raise ArchiveError(f"{path} holds, unpacked, {problem}.")
        # What it is decides what it is read as; its name does where it may be either.
        named_dump = self.file.suffix in (".ndjson", ".jsonl")
        if first not in ("{", "[") and not (named_dump and not _is_header(head)):
            self.columns = self._understood(told)
        elif first == "[":
            self._records = _document_records
        elif named_dump:
            self._records = _line_records
        elif _ANNOTATIONS.match(head) or _ANSWER.match(head):
            self._records = _document_records
        else:
            self._records = _line_records
        self._layout = self._laid_out(told)

    def rows(self, source: OpenArchive, skip: int, wanted: frozenset[str] | None) -> _Rows:
        """The records of the file behind the first `skip`; NothingError where nothing comes any more."""
        last = source.unpacked()
        if self._records is None:
            assert self.columns is not None
            found: _Rows = _table_rows(source, self.file.path, skip, self.columns)
        else:
            found = self._records(source, skip, wanted, partial(json_row, layout=self._layout))
        for number, row in found:
            if row is not Reading.NOTHING:
                last = source.unpacked()
            elif source.unpacked() - last > MOST_NOTHING:
                raise NothingError(NOTHING_MESSAGE)
            yield number, row

    def _laid_out(self, told: Told) -> Layout:
        """Where the records of a JSON file keep their readings, by those at its beginning."""
        sample: list[dict[str, Any]] = []
        with self.file.open() as source:
            for record in islice(self._plain_records(source), SAMPLE):
                sample.append(record)
                if source.unpacked() > _CHUNK_BYTES:
                    break
        names = list(dict.fromkeys(name for record in sample for name in record))
        alone = not any(has_value(record.get("title")) or has_value(record.get("url")) for record in sample)
        read = told.headers.get("observed_at")
        if read is None and not any(name in TIMES_OF_READING for name in names):
            read = next((name for name in EITHER if name in names and self._is_when_read(name, names, alone)), None)
        ages = [(name, unit) for name in names if read is None and (unit := age_unit(name, alone=alone))]
        return Layout(read, series_of(name for name in names if name != read), next(iter(ages), None))

    def _is_when_read(self, name: str, names: Collection[str], alone: bool) -> bool:
        """Whether a time that may be of the post or of the reading is of the reading; see `columns`."""
        of_post = [each for each in ("created_utc", *ALIASES["created_utc"]) if each in names and each not in EITHER]
        if alone or not of_post:
            return alone
        with self.file.open() as source:
            return differ_within_a_post(
                (post_id_of(record), time_of(record.get(name))) for record in self._plain_records(source)
            )

    def _plain_records(self, source: OpenArchive) -> Iterator[dict[str, Any]]:
        """The records of a JSON file by their plain values; none of a table."""
        if self._records is None:
            return
        try:
            for _, record in self._records(source, 0, None, fields_of):
                if isinstance(record, dict):
                    yield record
                elif record is Reading.NOTHING and source.unpacked() > MOST_NOTHING:
                    return
        except _CUT:
            return  # reading the rows meets the same damage, and reports it

    def newest_post(self) -> datetime:
        """Time of the newest post of the whole file, as far as it can be read."""
        newest = datetime.min.replace(tzinfo=UTC)
        latest = datetime.now(UTC) + _CLOCK_SKEW
        with self.file.open() as source:
            try:
                for _, row in self.rows(source, 0, None):
                    if isinstance(row, Row) and row.created_at <= latest:
                        newest = max(newest, row.created_at)
            except _CUT:
                pass  # the first reading meets the same damage, and reports it
        return newest

    def _head(self) -> str:
        """The beginning of the text, white space before it left out."""
        with self.file.open() as source:
            try:
                while block := source.text.read(WINDOW):
                    if block.strip():
                        return block.lstrip()[:_HEAD_LENGTH]
                    if source.unpacked() > MOST_NOTHING:
                        raise ArchiveError(f"{self.file.path} holds no post: {NOTHING_MESSAGE}.")
            except _CUT:
                pass  # reading the rows meets the same damage, and reports it
        return ""

    def _understood(self, told: Told) -> Columns:
        path = self.file.path
        with self.file.open() as source:
            try:
                table = Table(path, source.text)
            except (csv.Error, *_CUT) as error:
                raise ArchiveError(
                    f"{path} is cut or damaged ({str(error) or type(error).__name__}) before its first post: get the "
                    "whole file and import it again."
                ) from error
            sample = list(islice(_cells(table), SAMPLE))
        return understand(str(path), table.header, sample, told, self._column)

    def _column(self, header: str) -> Iterator[str]:
        """The cells of a column, as far as they can be read."""
        with self.file.open() as source:
            for record in _cells(Table(self.file.path, source.text)):
                yield record[header]


def _cells(table: Table) -> Iterator[dict[str, str]]:
    """The rows of a table that can be read; what is damaged ends them, and the reading of the rows reports it."""
    try:
        for _, record in table.records(0):
            if isinstance(record, dict):
                yield record
    except _CUT:
        return


def _table_rows(source: OpenArchive, path: Path, skip: int, columns: Columns) -> _Rows:
    for number, cells in Table(path, source.text).records(skip):
        if isinstance(cells, dict):
            try:
                require_utf8("".join(cells.values()))
                record = columns.record(cells)
                reads = list(columns.series.readings(cells)) if columns.series.groups else []
                age = age_of(cells[columns.age[0]], columns.age[1]) if columns.age else None
                if columns.of_readings or is_alone(record, reads, age):
                    yield number, readings_of(record, record, reads, age, columns.dates)
                else:
                    yield number, row_of(record, record, reads, age, from_table=True, dates=columns.dates)
            except BrokenRecordError as error:
                yield number, str(error)
        else:
            yield number, cells


def _is_header(head: str) -> bool:
    """Whether a text begins with names of columns of posts."""
    line = head.lstrip().partition("\n")[0]
    return max(sum(is_known(name.strip('" \r')) for name in line.split(sign)) for sign in ",;\t|") >= 3


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


def _line_records(source: OpenArchive, skip: int, wanted: frozenset[str] | None, make: Callable[[Any], T]) -> _Made[T]:
    number = 0
    while line := source.binary.readline(LONGEST_LINE):
        number += 1
        too_long = len(line) == LONGEST_LINE and not line.endswith(b"\n")
        if too_long:
            while (rest := source.binary.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                yield number - 1, Reading.NOTHING
        elif line.isspace() and (blank := source.skip_blank_lines()):
            number += blank
            yield number, Reading.NOTHING
            continue
        if number <= skip:
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if too_long:
            yield number, f"longer than {LONGEST_LINE} bytes"
        elif wanted is not None and _is_seen_to_be_of_other(line, wanted):
            yield number, None
        elif line.strip():
            yield number, _of_line(line, make)


def _of_line(line: bytes, make: Callable[[Any], T]) -> T | str:
    if len(line) > 2 * MOST_BRACKETS and line.count(b"[") + line.count(b"{") > MOST_BRACKETS:
        return MANY_BRACKETS
    try:
        return make(JSON.decode(line.decode()))
    except UnicodeDecodeError:
        return "no valid UTF-8"
    except RecursionError:
        return TOO_DEEP
    except (ValueError, BrokenRecordError) as error:
        return str(error)


def _document_records(
    source: OpenArchive, skip: int, wanted: frozenset[str] | None, make: Callable[[Any], T]
) -> _Made[T]:
    del wanted  # an element has to be read to find its end
    document = Document(source.text)
    while document.passes_blank():
        yield 0, Reading.NOTHING
    if document.next_character() == "{":
        document.enter(("annotations", "data"))
    document.take("[")
    number = 0
    while True:
        while document.passes_blank():
            yield number, Reading.NOTHING
        if document.next_character() == "]":
            return
        number += 1
        try:
            value = document.value()
            if number > skip:
                yield number, make(value)
        except BrokenRecordError as error:
            if number > skip:
                yield number, str(error)
        if document.next_character() != "]":
            document.take(",")

"""Tables of posts as records of text cells, whatever dialect they are written in.

Commas, semicolons, tabs or bars between cells; quotes inside a quoted cell doubled or behind a backslash; columns under
any name and in any case. What a cell means is the matter of `redpop_assets.sources.typed`.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO, Final

from redpop_assets.errors import ArchiveError
from redpop_assets.sources.archives.columns import REQUIRED, is_known
from redpop_assets.sources.archives.files import MOST_NOTHING
from redpop_assets.sources.typed import BrokenRecordError

MOST_COLUMNS: Final = 1_000
"""Columns that a table may have; the API has about 110 fields."""

LONGEST_LINE: Final = 16 * 1024 * 1024
"""Characters of a record beyond which it is no post."""

MOST_LINES: Final = 10_000
"""Lines that one record may take: a text of 40,000 characters, the longest of Reddit, has fewer."""

_DELIMITERS: Final = ",;\t|"
_SEPARATOR_LINE: Final = re.compile(r"\ufeff?\"?sep=(.)\"?\s*")
_LINE: Final = re.compile(r"[^\r\n]*+(?:\r\n|\r(?!\Z)|\n)")
_BLOCK: Final = 64 * 1024


class Reading(Enum):
    """What a reader says besides records."""

    NOTHING = "nothing but white space, or the inside of what is too long"


class _TooLongError(Exception):
    """A record, or a line of it, is longer than it may be."""


class Table:
    """A table whose header is read; `records` gives the rest, once.

    Args:
        path: the file, for messages.
        text: its text from the beginning, line ends as they are.

    Raises:
        ArchiveError: it is empty or has too many columns.
    """

    def __init__(self, path: Path, text: IO[str]) -> None:
        self._lines = _Lines(text)
        # The limit is one for all readers of the process.
        csv.field_size_limit(LONGEST_LINE)
        self.header, self._delimiter = self._read_header(path)
        """Names of the columns, of which no two are the same."""
        self._after_header = self._lines.number

    def records(self, skip: int) -> Iterator[tuple[int, dict[str, str] | str | Reading]]:
        """The number of the last line of each record, and its cells by column; or what is wrong with it.

        A row that cannot be read in any dialect is broken, and reading goes on with the line after its first one: a
        quote that nothing closes would take posts with it.

        Args:
            skip: lines that were read before, the header included.
        """
        lines = self._lines
        for _ in range(skip - self._after_header):
            try:
                next(lines)
            except _TooLongError:
                pass
            except StopIteration:
                return
            lines.begin_record()
        standard = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            if lines.skip_blank():
                yield lines.number, Reading.NOTHING
                continue
            lines.begin_record()
            try:
                values = self._record(standard)
            except StopIteration:
                return
            except BrokenRecordError as error:
                yield lines.number, str(error)
            else:
                if values:
                    yield lines.number, dict(zip(self.header, values, strict=True))

    def _record(self, standard: Iterator[list[str]]) -> list[str]:
        """The cells of the next record; BrokenRecordError if it has none, after its first line."""
        values, problem = self._attempt(standard)
        if problem is None:
            return values
        took = self._lines.taken
        escaped = any("\\" in line for line in self._lines.texts())
        self._lines.begin_again()
        by_backslash = csv.reader(
            self._lines, delimiter=self._delimiter, escapechar="\\", doublequote=False, strict=True
        )
        if escaped:
            values, still = self._attempt(by_backslash)
            if still is None:
                return values
            self._lines.begin_again()
        self._lines.pass_one()
        if took > 1:
            problem = (
                f"{problem}: a quote is opened here and not closed in its row; the {took - 1:,} lines that it would "
                "have swallowed were read without it"
            )
        raise BrokenRecordError(problem)

    def _attempt(self, reader: Iterator[list[str]]) -> tuple[list[str], str | None]:
        try:
            values = next(reader)
        except (csv.Error, _TooLongError) as error:
            return [], str(error)
        if values and len(values) != len(self.header):
            return [], f"{len(values):,} fields, the header has {len(self.header)}"
        return values, None

    def _read_header(self, path: Path) -> tuple[list[str], str]:
        lines = self._lines
        try:
            while lines.skip_blank():
                pass
            lines.begin_record()
            first = next(lines)
            while not first.strip():
                lines.begin_record()
                first = next(lines)
            delimiters = _DELIMITERS
            if given := _SEPARATOR_LINE.fullmatch(first):
                delimiters = given[1]
                lines.begin_record()
                first = next(lines)
            columns = max(map(first.count, delimiters)) + 1
            if columns > MOST_COLUMNS:
                raise ArchiveError(
                    f"{path} has {columns:,} columns; a table of posts has at most {MOST_COLUMNS:,}. Keep those that "
                    f"posts have, such as {', '.join(REQUIRED)}, and import it again."
                )
            delimiter = max(delimiters, key=lambda each: _known(first, each))
            lines.begin_again()
            header = next(csv.reader(lines, delimiter=delimiter))
        except StopIteration:
            raise ArchiveError(f"{path} holds no post: it is empty.") from None
        except _TooLongError as error:
            raise ArchiveError(f"{path} is no table of posts: its first line is {error}.") from None
        lines.begin_record()
        return _distinct([name.strip().lstrip("\ufeff").strip() for name in header]), delimiter


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where one comes again."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return found


def _known(line: str, delimiter: str) -> int:
    """How many names of columns of posts a header has if this is what stands between them."""
    return sum(is_known(name.strip().strip('"')) for name in line.rstrip("\r\n").split(delimiter))


class _Lines(Iterator[str]):
    """The lines of a text with their ends, which are remembered until a record is complete and can be read again."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._block = ""
        self._at = 0
        self._ended = False
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._length = 0
        self.number = 0

    @property
    def taken(self) -> int:
        """Lines of the record so far."""
        return len(self._record)

    def texts(self) -> list[str]:
        """These lines."""
        return self._record

    def begin_record(self) -> None:
        """What was read so far is done with."""
        self._record, self._length = [], 0

    def begin_again(self) -> None:
        """Go back to the first line of the record."""
        self._again.extendleft(reversed(self._record))
        self.number -= len(self._record)
        self.begin_record()

    def pass_one(self) -> None:
        """Go behind the first line of the record."""
        self.number += 1
        self._again.popleft()

    def skip_blank(self) -> bool:
        """Go behind a stretch of empty lines, and say whether there was one."""
        if self._again:
            return False
        if self._at >= len(self._block) and not self._ended:
            self._read_on()
        rest = self._block[self._at :] if self._at else self._block
        if not rest.isspace() or len(rest) < _BLOCK // 2:
            return False
        end = max(rest.rfind("\n"), rest.rfind("\r", 0, len(rest) - 1)) + 1
        if end == 0:
            return False
        passed = rest[:end]
        self.number += passed.count("\n") + passed.count("\r") - passed.count("\r\n")
        self._at += end
        return True

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            line = self._next_line()
            if not line:
                raise StopIteration
        self.number += 1
        self._record.append(line)
        self._length += len(line)
        if self._length > LONGEST_LINE or len(self._record) > MOST_LINES:
            raise _TooLongError(f"longer than {MOST_LINES:,} lines or {LONGEST_LINE:,} characters")
        return line

    def _next_line(self) -> str:
        pieces: list[str] = []
        length = 0
        while True:
            found = _LINE.match(self._block, self._at)
            if found:
                piece, self._at = found[0], found.end()
            else:
                # A carriage return at the end may be the first half of a line end.
                piece, self._at = self._block[self._at :], len(self._block)
            # Of a line that is too long, no more is kept than shows that it is.
            if length <= LONGEST_LINE:
                pieces.append(piece)
            length += len(piece)
            if length > MOST_NOTHING:
                raise EOFError(f"a line of more than {MOST_NOTHING} characters")
            if found or not self._read_on():
                return "".join(pieces)
            if piece.endswith("\r") and not self._block.startswith("\n"):
                return "".join(pieces)

    def _read_on(self) -> bool:
        self._block, self._at = self._text.read(_BLOCK), 0
        self._ended = not self._block
        return not self._ended

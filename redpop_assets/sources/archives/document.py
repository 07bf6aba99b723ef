"""One JSON document, read value by value in bounded memory.

What its values mean belongs in `redpop_assets.sources.archives.one_record`.
"""

import json
import re
from collections.abc import Collection
from typing import IO, Any, Final

from redpop_assets.literals import JSON
from redpop_assets.sources.archives.files import MOST_NOTHING
from redpop_assets.sources.archives.tables import LONGEST_LINE
from redpop_assets.sources.typed import TOO_DEEP, BrokenRecordError

MOST_BRACKETS: Final = 200_000
"""Arrays and objects of a value. One without anything takes twenty times its text, and no post has so many."""

MANY_BRACKETS: Final = f"more than {MOST_BRACKETS:,} arrays and objects"
NOTHING_MESSAGE: Final = f"nothing but white space in {MOST_NOTHING // 1024**3} GiB"

WINDOW: Final = 64 * 1024
"""Characters that are read at a time."""

_MORE_OF_A_NUMBER: Final = ("", *".eE+-0123456789")
_JSON_BLANK: Final = re.compile(r"[ \t\r\n]*+")
# How far before the end of what is there JSON can be found broken only because the rest is missing: "-Infinity".
_CUT_TOKEN: Final = 16
_LONGEST_SKIPPED: Final = 2 * LONGEST_LINE
_BRACKET_OR_TEXT: Final = re.compile(r'["\[\]{}]')
# What changes no depth, whole texts and innermost arrays and objects included.
_FLAT: Final = re.compile(r"""(?:[^"\[\]{}]++|\[[^"\[\]{}]*+\]|\{[^"\[\]{}]*+\}|"(?:[^"\\]++|\\.)*+")*+""", re.DOTALL)
_END_OF_SCALAR: Final = re.compile(r"[,\]]")
_INSIDE_TEXT: Final = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)


class BrokenDocumentError(Exception):
    """A JSON document is broken where the message says; what follows cannot be read."""


class NothingError(Exception):
    """Nothing but white space came for longer than anybody waits."""


class Document:
    """One JSON text, read value by value through a window that need not hold more than one of them.

    ijson (3.6 with yajl2_c) was tried in its place. It knows no limit to the length of a value, and takes memory that
    grows with the square of its depth: 970 MB for 20,000 nested arrays, a file of 40 kB. It makes a question mark of a
    lone surrogate, and a document ends for it at an integer of more than 64 bits or a byte order mark. It is slower,
    too: 86 MB of submissions per second of a processor, where this reads 118.

    Every method raises `BrokenDocumentError` where the text is no JSON, or ends too early.
    """

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._window = ""
        self._at = 0
        self._ended = False

    def passes_blank(self) -> bool:
        """Go behind the white space that is in memory, and say whether there may be more."""
        found = _JSON_BLANK.match(self._window, self._at)
        self._at = found.end() if found else self._at
        if self._at < len(self._window) or self._ended:
            return False
        self._read_on()
        return True

    def next_character(self) -> str:
        """The next character that is no white space; it stays."""
        blocks = 0
        while self.passes_blank():
            blocks += 1
            if blocks * WINDOW > MOST_NOTHING:
                raise NothingError(NOTHING_MESSAGE)
        if self._ended and self._at >= len(self._window):
            raise BrokenDocumentError("the document ends too early")
        return self._window[self._at]

    def take(self, character: str) -> None:
        """Go behind the next character, which has to be this one."""
        found = self.next_character()
        if found != character:
            raise BrokenDocumentError(f"{found!r} instead of {character!r}")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole.

        Raises:
            BrokenRecordError: it is none, or too much of one; the document goes on behind it.
        """
        self.next_character()
        while True:
            try:
                value, end = JSON.raw_decode(self._window, self._at)
                # The window may end inside a number, and what is there of it is a number as well.
                if self._ended or self._window[end : end + 1] not in _MORE_OF_A_NUMBER:
                    text, self._at = self._window[self._at : end], end
                    require_utf8(text)
                    return value
            except json.JSONDecodeError as error:
                may_go_on = error.msg.startswith("Unterminated") or error.pos > len(self._window) - _CUT_TOKEN
                if self._ended or not may_go_on:
                    self._skip()
                    raise BrokenRecordError(str(error)) from error
            except RecursionError as error:
                self._skip()
                raise BrokenRecordError(TOO_DEEP) from error
            except ValueError as error:
                self._skip()
                raise BrokenRecordError(str(error)) from error
            brackets = self._window.count("[", self._at) + self._window.count("{", self._at)
            if brackets > MOST_BRACKETS:
                self._skip()
                raise BrokenRecordError(MANY_BRACKETS)
            if len(self._window) - self._at >= LONGEST_LINE:
                self._skip()
                raise BrokenRecordError(f"longer than {LONGEST_LINE:,} characters")
            self._read_on()

    def enter(self, names: Collection[str]) -> None:
        """Go to the value of one of these names in the object that comes next, and forget the values before it."""
        self.take("{")
        try:
            while self.next_character() != "}":
                found = self.value()
                self.take(":")
                if found in names:
                    return
                self.value()
                if self.next_character() != "}":
                    self.take(",")
        except BrokenRecordError as error:
            raise BrokenDocumentError(str(error)) from error
        raise BrokenDocumentError(f"no {' or '.join(names)}")

    def _skip(self) -> None:
        """Go behind the next value by its brackets alone, whatever else is wrong with it."""
        depth = skipped = 0
        inside_text = False
        while True:
            mark = None
            before = self._at
            if inside_text:
                found = _INSIDE_TEXT.match(self._window, self._at)
                self._at = found.end() if found else self._at
                mark = self._window[self._at : self._at + 1]
                mark = "" if mark == "\\" else mark  # cut in the middle of an escape
            else:
                flat = _FLAT.match(self._window, self._at) if depth else None
                self._at = flat.end() if flat else self._at
                marks = (
                    _BRACKET_OR_TEXT
                    if depth or self._window[self._at : self._at + 1] in ('"', "[", "{")
                    else _END_OF_SCALAR
                )
                place = marks.search(self._window, self._at)
                self._at = place.start() if place else len(self._window)
                mark = place[0] if place else ""
            skipped += self._at - before
            if skipped > _LONGEST_SKIPPED:
                raise BrokenDocumentError("a value that is too long")
            if not mark:
                if self._ended:
                    raise BrokenDocumentError("the document ends too early")
                self._read_on()
                continue
            if mark == "," or (mark == "]" and depth == 0):
                return
            self._at += 1
            if mark == '"':
                inside_text = not inside_text
            elif mark in "[{":
                depth += 1
            else:
                depth -= 1
            if depth <= 0 and not inside_text:
                return

    def _read_on(self) -> None:
        rest = self._window[self._at :]
        # At least as much again, so that a long value is not tried again and again.
        more = self._text.read(max(WINDOW, len(rest)))
        self._window, self._at, self._ended = rest + more, 0, not more


def require_utf8(text: str) -> None:
    """Refuse text with lone surrogates, which bytes that are no UTF-8 have become.

    Raises:
        BrokenRecordError: there are some.
    """
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BrokenRecordError("no valid UTF-8") from error

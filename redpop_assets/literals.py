"""Values that came as text: JSON as Python and R write it, and what Python prints of its own values.

Bounded whatever the text says: in depth, and in memory by some times its length.
"""

import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

MOST_LEVELS: Final = 100
"""Depth to which arrays and objects may lie in each other; Reddit's own lie about ten deep."""

# What the repr of Python has and JSON has not; a quote that nothing closes comes last.
_PYTHON: Final = re.compile(
    r"""[uU]?'((?:[^'\\]++|\\.)*+)'|[uU]?"((?:[^"\\]++|\\.)*+)"|\b(True|False|None|nan)\b|([()])|,\s*(?=[\])}])|(?<=\d)L\b|(['"])""",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(0[0-9a-fA-F]{7})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final = {"True": "true", "False": "false", "None": "null", "nan": "null"}


class ScientificFloat(float):
    """A number that JSON had in scientific notation; `text` is how it was written."""

    text: str


def json_float(text: str) -> float | str:
    """For `json`: a number, or its text where no number can hold it, so that one field is judged and not the line."""
    number = float(text)
    if not math.isfinite(number):
        return text
    if "e" in text or "E" in text:
        scientific = ScientificFloat(number)
        scientific.text = text
        return scientific
    return number


def json_constant(name: str) -> str | None:
    """For `json`: NaN, with which Python says that something is missing, is null; an infinity is its own name."""
    return None if name == "NaN" else name


JSON: Final = json.JSONDecoder(parse_float=json_float, parse_constant=json_constant)
"""Reads JSON as Python and R write it."""


def exceeds_levels(value: Any, most: int = MOST_LEVELS) -> bool:
    """Whether arrays and objects lie more than `most` deep in each other."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def literal(text: str) -> Any:
    """The value that JSON, or the repr of Python, says.

    Raises:
        ValueError: it is neither, or lies deeper than `MOST_LEVELS`.
    """
    value: Any = text
    for _ in range(2):  # text in JSON in a cell is JSON again where a table went through a database
        if not isinstance(value, str):
            break
        try:
            value = JSON.decode(value)
        except (ValueError, RecursionError):
            try:
                value = JSON.decode(_python_as_json(value))
            except (ValueError, RecursionError):
                raise ValueError("neither JSON nor a Python literal") from None
    if isinstance(value, str) or (isinstance(value, dict | list) and exceeds_levels(value)):
        raise ValueError("neither JSON nor a Python literal")
    return value


def _python_as_json(text: str) -> str:
    """The repr of dictionaries, lists and tuples as JSON; `ast` would take a hundred times the memory of the text."""
    return _PYTHON.sub(_token_as_json, text)


def _token_as_json(token: re.Match[str]) -> str:
    single, double, word, bracket, unclosed = token.groups()
    if unclosed:
        raise ValueError("neither JSON nor a Python literal")
    if word:
        return _WORDS[word]
    if bracket:
        return "[" if bracket == "(" else "]"
    content = single if single is not None else double
    return "" if content is None else json.dumps(_ESCAPE.sub(_unescaped, content) if "\\" in content else content)


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code:
        return chr(int(code, 16)) if int(code, 16) <= sys.maxunicode else "\ufffd"
    return _ESCAPED.get(escape[4], escape[4])

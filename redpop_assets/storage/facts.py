"""The facts of a table or column that code reads: the tail of its SQL comment, ` | name: value` one after the other.

    COMMENT ON TABLE features.t IS 'What it is. | key: post_id, encoder | source: Hessel et al. 2017';
    COMMENT ON COLUMN features.t.c IS 'Days since the last post. | known_at: before_post | placeholder: 365 = never';

The sentences before are for people; rewording them changes nothing that is computed.

| fact | of | value |
|---|---|---|
| `key` | tables | the columns that identify a row, none of which may be NULL |
| `source` | tables, columns | publications with their year, separated by `;`; columns without one have their table's |
| `known_at` | features | one of `KNOWN_AT`; `after_age`: once the post had the age that its row names |
| `unit` | features | one of `UNITS`, `per` and a word, or a range such as `-1 to 1` |
| `missing` | features | `flag = 0` or `flag = 1`: the number is only a placeholder where that other column says so |
| `placeholder` | features | `365 = never`: a value, and what it also means |
"""

import re
from dataclasses import dataclass
from typing import Final

AT_POSTING: Final = ("before_post", "at_post")
"""When it was known of what ordinary predictors may look at."""

AFTER_AGE: Final = "after_age"
"""Once the post had the age that the row names: what predictors that follow a post may look at, besides."""

KNOWN_AT: Final = (*AT_POSTING, AFTER_AGE, "after_post")
"""What a feature may say of when it was known."""

UNITS: Final = (
    *("0 or 1", "count", "share", "logarithm", "log score"),
    *("bits", "bytes", "characters", "days", "degrees", "hours", "minutes", "percent", "pixels", "seconds", "words"),
)

OF_TABLES: Final = ("key", "source")
OF_COLUMNS: Final = ("known_at", "unit", "source", "missing", "placeholder")

_SEPARATOR = " | "
_NUMBER = r"-?\d+(?:\.\d+)?"
_NAME = r"[a-z_][a-z0-9_]*"
_KEY = re.compile(rf"{_NAME}(?:, {_NAME})*")
_UNIT = re.compile(rf"{'|'.join(UNITS)}|per [a-z]+|{_NUMBER} to {_NUMBER}")
_SOURCE = re.compile(r"[^;]*\b(?:19|20)\d\d[a-z]?\b[^;]*(?:; [^;]*\b(?:19|20)\d\d[a-z]?\b[^;]*)*")
_MISSING = re.compile(rf"({_NAME}) = ([01])")
_PLACEHOLDER = re.compile(rf"({_NUMBER}) = (\S.*)")


@dataclass(frozen=True)
class Missing:
    """Where a number is only a placeholder: where `flag`, another column of its table, is `value`."""

    flag: str
    value: float


@dataclass(frozen=True)
class Placeholder:
    """A value that also stands for something else, as 365 days for never."""

    value: float
    meaning: str


def split(comment: str, allowed: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The sentences of a comment, and its facts by name.

    Raises `ValueError` saying what is wrong: a fact that is not `allowed`, given twice, or without a value.
    """
    sentences, *tail = comment.split(_SEPARATOR)
    found: dict[str, str] = {}
    for fact in tail:
        name, colon, value = fact.partition(": ")
        if not colon or not value.strip() or value != value.strip():
            raise ValueError(f"has {fact!r} after a bar, which is no fact: write '| name: value'")
        if name not in allowed:
            raise ValueError(f"has an unknown fact {name!r}; there are {', '.join(allowed)}")
        if name in found:
            raise ValueError(f"has the fact {name} twice")
        found[name] = value
    return sentences, found


def key(text: str) -> tuple[str, ...]:
    """Names of the columns; `ValueError` if that is no list of names."""
    if not _KEY.fullmatch(text):
        raise ValueError(f"has key: {text}; write the columns as in 'key: post_id, encoder'")
    return tuple(text.split(", "))


def known_at(text: str) -> str:
    """When it was knowable; `ValueError` if that is none of `KNOWN_AT`."""
    if text not in KNOWN_AT:
        raise ValueError(f"has known_at: {text}; write one of {', '.join(KNOWN_AT)}")
    return text


def unit(text: str) -> str:
    """The unit; `ValueError` if there is no such."""
    if not _UNIT.fullmatch(text):
        raise ValueError(f"has unit: {text}; write one of {', '.join(UNITS)}, 'per word', or a range such as '0 to 1'")
    return text


def source(text: str) -> str:
    """The publications; `ValueError` if one has no year."""
    if not _SOURCE.fullmatch(text):
        raise ValueError(f"has source: {text}; give each publication its year, separated by '; '")
    return text


def missing(text: str) -> Missing:
    """Where the number is a placeholder; `ValueError` if that is no condition."""
    if (match := _MISSING.fullmatch(text)) is None:
        raise ValueError(f"has missing: {text}; write 'flag = 0' or 'flag = 1'")
    return Missing(match[1], float(match[2]))


def placeholder(text: str) -> Placeholder:
    """Value and meaning; `ValueError` if that is none."""
    if (match := _PLACEHOLDER.fullmatch(text)) is None:
        raise ValueError(f"has placeholder: {text}; write a number and what it means, as in '365 = never'")
    return Placeholder(float(match[1]), match[2])

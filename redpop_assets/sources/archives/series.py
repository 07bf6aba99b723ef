"""Where a file keeps several readings of one post: rows of their own, columns beside each other, or a list in a record.

A *long* file has a row for each reading, a *wide* one a column for each: `score_1h`, `comments_24h` (ages of the post),
`2021-03-01 12:00` or `score_1614600000` (moments), `time_1`, `score_1` (numbered). In JSON a record may hold them in a
list. Here it is only told which is which; what a value means is the matter of `redpop_assets.sources.typed`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from redpop_assets.sources.typed import ALIASES, has_value, moment

Values = dict[str, Any]
"""Fields of the API -> what a file holds, as it stands there."""

EITHER: Final = ("timestamp", "timestamp_utc", "datetime", "datetime_utc", "date_utc", "date", "time", "utc")
"""Names of times that may be that of the post or that of the reading."""

READ_ALONE: Final[Mapping[str, tuple[str, ...]]] = {
    "upvote_ratio": ("ratio", "upvoted", "upvote_share", "vote_ratio"),
}
"""Further names of fields, which mean something else beside the fields of a post."""

LISTS: Final = ("observations", "readings", "history", "score_history", "snapshots")
"""Fields of a JSON record that hold a list of its readings."""

OF_COMMENTS: Final = ("body", "link_id", "parent_id", "comment_id")
"""Fields that posts have not: ids of comments look like those of posts."""

_AGES: Final[Mapping[str, float]] = {
    **dict.fromkeys(("agehours", "ageinhours", "hoursafter", "hourssincepost", "agehrs", "ageh"), 3600.0),
    **dict.fromkeys(("ageminutes", "ageinminutes", "minutesafter", "minutessincepost", "agemins", "agemin"), 60.0),
    **dict.fromkeys(("ageseconds", "ageinseconds", "secondsafter", "secondssincepost", "agesecs", "agesec"), 1.0),
    **dict.fromkeys(("agedays", "ageindays", "daysafter", "dayssincepost"), 86_400.0),
}
_AGES_ALONE: Final[Mapping[str, float]] = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "days": 86_400.0}
_UNITS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_MOST_DAYS: Final = 3_660
MOST_LOOKED_AT: Final = 200_000
"""Rows that are looked at for one post that comes again."""


def folded(name: str) -> str:
    """A name without what people write differently: case, blanks, underscores, signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_MEASURES: Final[Mapping[str, str]] = {
    folded(spelling): field
    for field in ("score", "num_comments", "upvote_ratio")
    for spelling in (field, *ALIASES.get(field, ()), *READ_ALONE.get(field, ()))
}
_TIMES: Final = frozenset(map(folded, ("observed_at", *ALIASES["observed_at"], *EITHER)))
_UNIT: Final = "|".join(sorted(_UNITS, key=len, reverse=True))
_SIGN: Final = r"[ _.@:-]*"
_WORDS: Final = r"(?P<{}>[a-z][a-z _-]*?)"
# score_1h, score after 1 hour, 1h_score, 24h
_AT_AGE: Final = re.compile(
    rf"(?:{_WORDS.format('before')}{_SIGN}(?:(?:at|after|t|age){_SIGN})?)?\+?(?P<number>\d+(?:\.\d+)?){_SIGN}"
    rf"(?P<unit>{_UNIT})(?:{_SIGN}{_WORDS.format('after')})?",
    re.IGNORECASE,
)
# score_h1, score_hour_1
_UNIT_FIRST: Final = re.compile(
    rf"{_WORDS.format('before')}[ _.-]+(?P<unit>{_UNIT})[ _.-]*(?P<number>\d+(?:\.\d+)?)", re.IGNORECASE
)
_AT_MOMENT: Final = re.compile(
    rf"(?:{_WORDS.format('before')}[ _@:]+)?(?P<moment>\d{{4}}-\d\d-\d\d.*|\d{{9,19}}(?:\.\d+)?)", re.IGNORECASE
)
_NUMBERED: Final = re.compile(rf"{_WORDS.format('before')}[ _.-]?(?P<number>\d{{1,4}})", re.IGNORECASE)


def age_unit(name: str, *, alone: bool) -> float | None:
    """Seconds in one of what a column counts ages of posts in; None for one that is called else.

    Args:
        name: of the column.
        alone: whether it stands beside readings and nothing else; then `hours` are those of the age.
    """
    own = folded(name)
    return _AGES.get(own, _AGES_ALONE.get(own) if alone else None)


@dataclass(frozen=True)
class Read:
    """One reading of a post that a record holds beside its own fields.

    Attributes:
        values: fields of the API as they stand in the file; at least one of them is no marker of a missing value.
        at: when it was read, as the file says it: a text or a number; None where the age tells.
        age: of the post; None where the time tells.
    """

    values: Values
    at: Any = None
    age: timedelta | None = None


@dataclass(frozen=True)
class Series:
    """The columns of a wide table: what stands in one reading after the other.

    Attributes:
        groups: for each reading its columns, field of the API -> column, `observed_at` among them where that is one;
            and what its columns say of its time by their names.
    """

    groups: tuple[tuple[Mapping[str, str], timedelta | datetime | None], ...] = ()

    @property
    def columns(self) -> list[str]:
        """All columns that readings are taken from."""
        return [column for fields, _ in self.groups for column in fields.values()]

    @property
    def has_scores(self) -> bool:
        """Whether there is a score among them."""
        return any("score" in fields for fields, _ in self.groups)

    @property
    def has_ages(self) -> bool:
        """Whether ages are said in place of times."""
        return any(isinstance(when, timedelta) for _, when in self.groups)

    def readings(self, record: Mapping[str, Any]) -> Iterator[Read]:
        """The readings that a record has."""
        for fields, when in self.groups:
            values = {name: record[column] for name, column in fields.items() if has_value(record.get(column))}
            at = values.pop("observed_at", None)
            if not values:
                continue
            if isinstance(when, timedelta):
                yield Read(values, age=when)
            else:
                yield Read(values, when if when is not None else at)


def series_of(columns: Iterable[str]) -> Series:
    """Find the columns that hold readings; those of one age, one moment or one number belong together."""
    groups: dict[tuple[int, Any], dict[str, str]] = defaultdict(dict)
    for column in columns:
        name = column.strip()
        for kind, tell in enumerate((_age_and_field, _moment_and_field, _number_and_field)):
            found = tell(name)
            if found is not None:
                groups[kind, found[0]].setdefault(found[1], column)
                break
    kept: list[tuple[Mapping[str, str], timedelta | datetime | None]] = []
    for (kind, when), fields in sorted(groups.items(), key=lambda item: item[0]):
        # A number alone tells no time: one of its columns has to.
        if fields.keys() == {"observed_at"} or (kind == 2 and "observed_at" not in fields):
            continue
        kept.append((fields, None if kind == 2 else when))
    return Series(tuple(kept))


def listed(record: Mapping[str, Any]) -> Iterator[Read]:
    """The readings in the lists of a JSON record."""
    for name in LISTS:
        found = record.get(name)
        for each in found if isinstance(found, list) else ():
            if isinstance(each, Mapping):
                yield read_of(each)


def read_of(record: Mapping[str, Any]) -> Read:
    """A record that is a reading: its values by the fields of the API, and when it was read."""
    values: Values = {}
    at: Any = None
    age: timedelta | None = None
    for name, value in record.items():
        if not has_value(value):
            continue
        if folded(name) in _TIMES:
            at = value if at is None else at
        elif (unit := age_unit(name, alone=True)) is not None:
            age = age_of(value, unit)
        else:
            values.setdefault(_MEASURES.get(folded(name), name), value)
    return Read(values, at, None if at is not None else age)


def age_of(value: Any, unit: float) -> timedelta | None:
    """An age in words of a file; None for what is none."""
    try:
        seconds = float(str(value).strip()) * unit
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 <= seconds <= _MOST_DAYS * 86_400 else None


def differ_within_a_post(rows: Iterable[tuple[str | None, Any]]) -> bool:
    """Whether one post has several of the values: then they are of its readings, and not of itself.

    Looks at the first `MOST_LOOKED_AT` rows.

    Args:
        rows: the post (base36 id; None where it is not known), and what a file says of it; None where it says nothing.
    """
    first: dict[str, Any] = {}
    for post_id, value in islice(rows, MOST_LOOKED_AT):
        if post_id is not None and value is not None and first.setdefault(post_id, value) != value:
            return True
    return False


def time_of(value: Any) -> datetime | None:
    """A time as a file says it; None for what is none."""
    try:
        return moment(value, day_is_enough=True) if has_value(value) else None
    except ValueError:
        return None


def _field_of(found: re.Match[str]) -> str | None:
    """What a column measures, by the words beside the time in its name; None for something else."""
    words = [found.groupdict().get(name) for name in ("before", "after")]
    said = [folded(word) for word in words if word]
    return "score" if not said else _MEASURES.get(said[0]) if len(said) == 1 else None


def _age_and_field(name: str) -> tuple[timedelta, str] | None:
    found = _AT_AGE.fullmatch(name) or _UNIT_FIRST.fullmatch(name)
    field = _field_of(found) if found else None
    age = age_of(found["number"], _UNITS[found["unit"].lower()]) if found else None
    return None if field is None or age is None else (age, field)


def _moment_and_field(name: str) -> tuple[datetime, str] | None:
    found = _AT_MOMENT.fullmatch(name)
    field = _field_of(found) if found else None
    time = time_of(found["moment"]) if found else None
    return None if field is None or time is None else (time, field)


def _number_and_field(name: str) -> tuple[int, str] | None:
    found = _NUMBERED.fullmatch(name)
    if found is None:
        return None
    word = folded(found["before"])
    field = "observed_at" if word in _TIMES else _MEASURES.get(word)
    return None if field is None else (int(found["number"]), field)

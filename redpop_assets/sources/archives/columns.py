"""What the columns of a table of posts mean: told by whoever imports it, else by their names and what stands in them.

A name alone is not enough: `id` may number the rows, `date` may be a day alone, `url` may lead to the comments. So
every candidate is looked at, the better one is taken and it is said which; where two are equally good and differ,
nobody guesses. How a single cell is read is the matter of `redpop_assets.sources.typed`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final, get_args

from redpop_assets.errors import ArchiveError
from redpop_assets.privacy.submissions import KEPT
from redpop_assets.sources.archives.series import (
    EITHER,
    OF_COMMENTS,
    READ_ALONE,
    Series,
    age_unit,
    differ_within_a_post,
    series_of,
)
from redpop_assets.sources.typed import ALIASES, DateOrder, Dates, comment_page, date_orders, fits, is_missing, moment
from redpop_assets.sources.values import parse_post_id

SAMPLE: Final = 500
"""Rows from the beginning of a table that tell its columns apart."""

REQUIRED: Final = ("id", "title", "created_utc", "score", "url")
"""Fields of the API without which a table is none of posts."""

REQUIRED_OF_READINGS: Final = ("id", "score", "observed_at")
"""Fields of the API without which a table is none of readings."""

WORDS: Final[Mapping[str, str]] = {
    "id": "id",
    "time": "created_utc",
    "title": "title",
    "score": "score",
    "url": "url",
    "author": "author",
    "community": "subreddit",
    "permalink": "permalink",
    "comments": "num_comments",
    "nsfw": "over_18",
    "read": "observed_at",
}
"""What people call a field -> its name in the API; `read` is when the score was read."""

_WORD_OF: Final = {name: word for word, name in WORDS.items()}
_EXACT: Final = "exact"
_FORMATS: Final = (*get_args(DateOrder), _EXACT)
_PREFIX: Final = re.compile(r"(?:data|post|posts|submission|reddit)[._ ]+(?=\w)", re.IGNORECASE)
_EPOCH: Final = re.compile(r"[+-]?[\d,]+(?:\.\d*)?(?:[eE]\+?\d+)?")
_ZONED: Final = re.compile(r"(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$", re.IGNORECASE)
_DAYS_ALONE: Final = "days without a time"
_GOOD: Final = 0.5
"""Share of the cells of a column that have to be what its name says."""
_MOST_NAMES: Final = 40


def folded(header: str) -> str:
    """A name of a column without what people write differently: case, blanks, underscores, signs.

    The number behind a name that comes twice is none of it.
    """
    return re.sub(r"\.\d+$|[^a-z0-9]", "", header.lower())


_FOLDED: Final[Mapping[str, str]] = {
    folded(name): name for name in (*KEPT, "observed_at", "retrieved_on", "retrieved_utc", "retrieved_2nd_on")
}
_RANKS: Final[Mapping[str, Mapping[str, int]]] = {
    name: {folded(spelling): rank for rank, spelling in enumerate((name, *ALIASES.get(name, ())))} for name in ALIASES
}
_KNOWN: Final = frozenset(_FOLDED) | {spelling for ranks in _RANKS.values() for spelling in ranks}
# What does not name a post by itself; an address decides where it stands.
_EITHER: Final = frozenset(map(folded, EITHER))
_OF_API_BESIDE: Final = frozenset({"ups", "created", "name", "url_overridden_by_dest", "subreddit_name_prefixed"})


def is_known(header: str) -> bool:
    """Whether a column is called like one of a table of posts."""
    return bool({folded(header), folded(_PREFIX.sub("", header))} & _KNOWN)


@dataclass(frozen=True)
class Told:
    """What was told of the columns of a file: field of the API -> header, and how the file writes dates.

    `text` is how it was told, in one spelling for what means the same; empty if nothing was.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    dates: Dates = field(default_factory=lambda: Dates(days=True))

    @property
    def text(self) -> str:
        """The same in one line."""
        dates = [*([self.dates.order] if self.dates.order else []), *([] if self.dates.days else [_EXACT])]
        return ",".join([*(f"{name}={header}" for name, header in sorted(self.headers.items())), *dates])


def told(text: str) -> Told:
    """Read what somebody says of columns: `time=created_date,id=full_permalink`, `time=date:day-first`.

    Behind the column of a time may stand `:day-first`, `:month-first` and `:exact`, which refuses a day without a
    time; else it is taken as its first second in UTC.

    Raises:
        ArchiveError: it says nothing that can be understood; the message shows how to say it.
    """
    headers: dict[str, str] = {}
    order: DateOrder | None = None
    days = True
    for part in re.split(r",(?=\s*\w+\s*=)", text):
        if not part.strip():
            continue
        word, equals, header = (piece.strip() for piece in part.partition("="))
        name = WORDS.get(word.lower(), word.lower())
        if not equals or not header or (name not in KEPT and name != "observed_at"):
            raise ArchiveError(
                f"{part.strip()!r} says nothing of columns: write what it is and the name of the column, such as "
                f"time=created_date,id=full_permalink. There are {', '.join(WORDS)}, and the fields of Reddit's API."
            )
        while name in ("created_utc", "observed_at") and (
            found := re.fullmatch(rf"(.*):\s*({'|'.join(_FORMATS)})", header)
        ):
            header = found[1].strip()
            days = days and found[2] != _EXACT
            order = next((known for known in get_args(DateOrder) if known == found[2]), order)
        headers[name] = header
    return Told(headers, Dates(order, days))


@dataclass(frozen=True)
class Meaning:
    """What one thing of a post is taken from, and how it is read: lines of the table that people see.

    `source` names columns in backticks, or says where else it is from; `how` may be empty.
    """

    word: str
    source: str
    how: str = ""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean.

    Attributes:
        headers: field of the API -> the column that it is taken from.
        dates: how the table writes the times of posts.
        meanings: for people, what is taken from where.
        left_out: headers of the columns that nothing is taken from, in their order.
        series: columns that hold further readings of the post of their row.
        age: the column with the age of the post at the reading, and the seconds in one of what it counts; None without.
        of_readings: whether the rows are readings of posts that others tell of, and no posts.
    """

    headers: Mapping[str, str]
    dates: Dates
    meanings: tuple[Meaning, ...]
    left_out: tuple[str, ...]
    series: Series = field(default_factory=Series)
    age: tuple[str, float] | None = None
    of_readings: bool = False

    @property
    def days_hint(self) -> str:
        """What it means that of some posts only the day is known, and how to do without them."""
        return (
            "they count as made at its beginning (00:00 UTC), so whatever looks at hours is wrong for them. "
            f"--columns time={self.headers['created_utc']}:{_EXACT} leaves them out."
        )

    def record(self, cells: Mapping[str, str]) -> dict[str, str]:
        """A row by the fields of the API."""
        return {name: cells[header] for name, header in self.headers.items()}


def understand(
    name: str,
    header: Sequence[str],
    sample: Sequence[Mapping[str, str]],
    asked: Told,
    cells: Callable[[str], Iterable[str]],
) -> Columns:
    """Tell the columns of a table apart.

    Args:
        name: how messages call the file.
        header: its columns; no name twice.
        sample: rows from its beginning, by column.
        asked: what is known already.
        cells: the cells of a column in the whole file, for dates that the sample leaves open.

    Raises:
        ArchiveError: something that a post needs is not there, or two columns may be it; the message says what to do.
    """
    return _Search(name, header, sample, asked, cells).columns()


@dataclass
class _Candidate:
    header: str
    rank: int
    filled: float
    fitting: float
    quality: int = 0

    @property
    def good(self) -> bool:
        return self.filled > 0 and self.fitting >= _GOOD


class _Search:
    def __init__(
        self,
        name: str,
        header: Sequence[str],
        sample: Sequence[Mapping[str, str]],
        asked: Told,
        cells: Callable[[str], Iterable[str]],
    ) -> None:
        self._file, self._header, self._sample, self._asked, self._cells = name, header, sample, asked, cells
        self._values = {
            column: [row[column].strip() for row in sample if not is_missing(row[column])] for column in header
        }
        self._headers: dict[str, str] = {}
        self._meanings: list[Meaning] = []
        self._dates = asked.dates
        self._series = Series()
        self._age: tuple[str, float] | None = None

    def columns(self) -> Columns:
        """All that is found."""
        for name, header in self._asked.headers.items():
            if header not in self._header:
                raise ArchiveError(f"{self._file} has no column `{header}` for {_word(name)}; it has {self._all()}.")
        page = self._page()
        self._id(page)
        alone = not any(self._candidates(name) or name in self._asked.headers for name in ("title", "url"))
        self._find_readings(page, alone=alone)
        for name in ("created_utc", "score", "title", "url", "author", "subreddit"):
            self._choose(name, page)
        names_post = page is not None or "name" in self._headers
        found = {*self._headers, *(["id"] if names_post else []), *(["score"] if self._series.has_scores else [])}
        lacking = [_word(name) for name in REQUIRED if name not in found]
        of_readings = bool(lacking) and self._tells_readings(found)
        if lacking and not of_readings:
            raise ArchiveError(
                f"{self._file} has no column for {', '.join(lacking)}. A table of posts needs "
                f"{', '.join(map(_word, REQUIRED))}; one of readings of their scores needs "
                f"{', '.join(map(_word, REQUIRED_OF_READINGS))}. It has {self._all()}. Say which is which, such as "
                f"--columns {lacking[0]}=NAME; a dump needs one JSON object a line."
            )
        self._rest(alone=alone)
        if page is not None and "subreddit" not in self._headers:
            self._say("subreddit", f"from `{page}`")
        order = list(WORDS.values())
        self._meanings.sort(key=lambda meaning: order.index(WORDS[meaning.word]) if meaning.word in WORDS else 99)
        if of_readings:
            why = f"there is no column for {', '.join(lacking)}: no posts are taken from this table"
            self._meanings.append(Meaning("rows", "readings of posts that are known", why))
        used = {*self._headers.values(), *self._series.columns, *([self._age[0]] if self._age else [])}
        places = {header: place for place, header in enumerate(self._header)}
        headers = dict(sorted(self._headers.items(), key=lambda item: places[item[1]]))
        left_out = tuple(each for each in self._header if each not in used)
        return Columns(
            headers, self._dates, tuple(self._meanings), left_out, self._series, self._age, of_readings=of_readings
        )

    def _tells_readings(self, found: Collection[str]) -> bool:
        """Whether each row says of which post it is, what its score was, and when."""
        of_comments = any(folded(column) in map(folded, OF_COMMENTS) for column in self._header)
        has_time = self._age is not None or self._series.groups or _TIMES_OF_READING & set(self._headers)
        return not of_comments and bool(has_time) and {"id", "score"} <= set(found)

    def _find_readings(self, page: str | None, *, alone: bool) -> None:
        """Find the time of the reading, or the age of the post then, and columns that hold one reading each."""
        taken = {*self._headers.values(), *self._asked.headers.values()}
        own = [each for each in self._candidates("observed_at") if each.good and each.header not in taken]
        asked = self._asked.headers.get("observed_at")
        chosen = asked or (own[0].header if own else None)
        if chosen is None and not any(folded(column) in map(folded, _TIMES_OF_READING) for column in self._header):
            chosen = next(
                (
                    column
                    for column in self._header
                    if column not in taken
                    and folded(column) in _EITHER
                    and self._is_when_read(column, page, alone=alone)
                ),
                None,
            )
        if chosen is not None:
            self._headers["observed_at"] = chosen
            how = "; ".join(filter(None, (self._time_of(chosen, "read"), "as told" if asked else "")))
            self._say("observed_at", f"`{chosen}`", how)
        else:
            ages = [
                (each, unit) for each in self._header if (unit := age_unit(each, alone=alone)) and each not in taken
            ]
            self._age = next((each for each in ages if all(map(_is_number, self._values[each[0]]))), None)
            if self._age is not None:
                self._say("observed_at", f"`{self._age[0]}`", "the age of the post at the reading")
        self._series = series_of(each for each in self._header if each not in taken and each != chosen)
        if self._series.groups:
            what = f"{len(self._series.groups):,} readings of each post"
            self._meanings.append(Meaning("readings", _listed(self._series.columns), what))

    def _is_when_read(self, column: str, page: str | None, *, alone: bool) -> bool:
        """Whether a time that may be of the post or of the reading is of the reading.

        It is where rows have nothing of a post; else where it stands beside the time of the post, and differs between
        rows of one post, for which more of the file is looked at than its beginning.
        """
        if not any(map(self._time, self._values[column])):
            return False
        if alone:
            return True
        named = next((self._headers[name] for name in ("id", "name") if name in self._headers), page)
        of_post = [each for each in self._candidates("created_utc") if each.good and folded(each.header) not in _EITHER]
        if named is None or not of_post:
            return False
        rows = zip(map(_post_of, self._cells(named)), map(self._time, self._cells(column)), strict=False)
        return differ_within_a_post(rows)

    def _time(self, text: str) -> datetime | None:
        try:
            return moment(text, day_is_enough=True, order=self._dates.order or "day-first")
        except ValueError:
            return None

    def _page(self) -> str | None:
        """The column with the addresses of the comments: the only one that names post and community at once."""
        found = [
            self._candidate("permalink", column, rank)
            for column in self._header
            if (rank := self._rank("permalink", column)) is not None
        ]
        if "permalink" in self._asked.headers:
            chosen: str | None = self._asked.headers["permalink"]
        elif self._holds_pages(self._asked.headers.get("id")):
            chosen = self._asked.headers["id"]
        else:
            good = sorted((each for each in found if each.good), key=lambda each: each.rank)
            chosen = good[0].header if good else self._page_of_another_name()
        if chosen is not None:
            self._headers["permalink"] = chosen
        return chosen

    def _holds_pages(self, column: str | None) -> bool:
        """Whether all that stands in a column are addresses of posts; that of a post may stand among the links."""
        pages = [comment_page(value) for value in self._values.get(column or "", [])]
        return all(page is not None and not page.of_comment for page in pages) and len(pages) * 2 > len(self._sample)

    def _page_of_another_name(self) -> str | None:
        """A column whose content alone makes it that of the post itself: links may lead to posts of others, too."""
        communities = next((each.header for each in self._candidates("subreddit") if each.good), None)
        for column in self._header:
            of_else = folded(column) in _FOLDED and self._rank("url", column) is None
            if of_else or not self._holds_pages(column) or not self._in_their_communities(column, communities):
                continue
            named = [each.header for each in self._candidates("id") if each.good and not self._counts_rows(each.header)]
            if named and not self._agree(named[0], column) and "id" not in self._asked.headers:
                raise ArchiveError(
                    f"{self._file}: the id of a post may be that in `{named[0]}` or in the addresses of `{column}`; "
                    f"they differ: say which it is, --columns id={named[0]} or --columns id={column}."
                )
            return None if named or self._full_names() else column
        return None

    def _in_their_communities(self, column: str, communities: str | None) -> bool:
        """Whether the addresses are of the communities that the rows are of."""
        for row in self._sample if communities else ():
            page = comment_page(row[column])
            own = row[communities].strip().lower().removeprefix("/").removeprefix("r/") if communities else ""
            if page and page.community and own and page.community.lower() != own:
                return False
        return True

    def _full_names(self) -> list[str]:
        """Columns of ids with their prefix, `t3_…`."""
        return [
            column
            for column in self._header
            if folded(_PREFIX.sub("", column)) == "name" and self._are_full_names(column)
        ]

    def _id(self, page: str | None) -> None:
        asked = self._asked.headers.get("id")
        if asked is not None and asked != page:
            self._headers["id"] = asked
            self._say("id", f"`{asked}`", "as told")
            return
        found = [each for each in self._candidates("id") if each.good and asked is None]
        full_names = self._full_names() if asked is None else []
        problem = ""
        for each in found:
            if page is not None and not self._agree(each.header, page):
                problem = f"`{each.header}` is not the id that stands there"
            elif self._counts_rows(each.header):
                problem = f"`{each.header}` numbers the rows"
            else:
                self._headers["id"] = each.header
                self._say("id", f"`{each.header}`")
                return
        if full_names:
            self._headers["name"] = full_names[0]
            self._say("id", f"`{full_names[0]}`", problem)
        elif page is not None:
            self._say("id", f"from `{page}`", problem)
        elif problem:
            raise ArchiveError(
                f"{self._file} does not name its posts: {problem}, and no column has their addresses. Reddit's id of a "
                "post, such as 1tq0abc, is needed: --columns id=NAME says where it stands."
            )

    def _are_full_names(self, column: str) -> bool:
        values = self._values[column]
        return bool(values) and all(value.startswith("t3_") and parse_post_id(value) for value in values)

    def _agree(self, column: str, page: str) -> bool:
        pairs = [
            (parse_post_id(row[column].strip()), found.post_id)
            for row in self._sample
            if not is_missing(row[column]) and (found := comment_page(row[page]))
        ]
        return not pairs or sum(own == other for own, other in pairs) >= _GOOD * len(pairs)

    def _counts_rows(self, column: str) -> bool:
        values = self._values[column]
        if len(values) < 3 or not all(re.fullmatch(r"\d{1,9}", value) for value in values):
            return False
        numbers = [int(value) for value in values]
        return all(after == before + 1 for before, after in pairwise(numbers))

    def _choose(self, name: str, page: str | None) -> None:
        """Find the column of a field, and say why it is that one."""
        asked = self._asked.headers.get(name)
        taken = {*self._headers.values(), *self._series.columns}
        found = [each for each in self._candidates(name) if each.header not in taken]
        if name == "url" and asked is None and page is not None and not found:
            # Both the link and the comments of posts that are nothing but text.
            found = [self._candidate(name, page, 0)] if folded(page) in _RANKS[name] else []
        if asked is not None:
            chosen, why = self._candidate(name, asked, 0), "as told"
        elif not found:
            return
        else:
            chosen, why = self._best(name, found)
        self._headers[name] = chosen.header
        how = self._time_of(chosen.header) if name == "created_utc" else ""
        self._say(name, f"`{chosen.header}`", "; ".join(filter(None, (how, why))))

    def _best(self, name: str, found: Sequence[_Candidate]) -> tuple[_Candidate, str]:
        good = [each for each in found if each.good]
        if not good:
            return found[0], ""
        best = max(each.quality for each in good)
        equal = [each for each in good if each.quality == best]
        chosen = next((each for each in good if each.rank == 0 and each.quality >= min(best, 2)), equal[0])
        rivals = [each for each in equal if each.header != chosen.header]
        of_api = chosen.rank == 0 or _FOLDED.get(folded(chosen.header)) in _OF_API_BESIDE
        for rival in rivals:
            if name in REQUIRED and not of_api and not self._same(name, chosen.header, rival.header):
                raise ArchiveError(
                    f"{self._file} has two columns that may be the {_word(name)} of a post, `{chosen.header}` and "
                    f"`{rival.header}`, and they differ: say which it is, --columns {_word(name)}={chosen.header} or "
                    f"--columns {_word(name)}={rival.header}."
                )
        others = [each.header for each in found if each.header != chosen.header]
        if not others or (chosen.rank == 0 and not any(each.rank == 0 for each in found if each != chosen)):
            return chosen, ""
        return chosen, f"rather than {_listed(others)}"

    def _same(self, name: str, one: str, other: str) -> bool:
        pairs = [(row[one].strip(), row[other].strip()) for row in self._sample]
        if name == "created_utc":
            return all(self._moment(first) == self._moment(second) for first, second in pairs)
        return all(first == second for first, second in pairs)

    def _moment(self, text: str) -> object:
        try:
            return moment(text, day_is_enough=True, order=self._dates.order)
        except ValueError:
            return None

    def _candidates(self, name: str) -> list[_Candidate]:
        """Columns that are called like a field, the likelier name first."""
        found = [
            self._candidate(name, column, rank)
            for column in self._header
            if (rank := self._rank(name, column)) is not None
        ]
        return sorted(found, key=lambda each: each.rank)

    def _rank(self, name: str, column: str) -> int | None:
        """How likely the name of a column makes it a field, 0 for the field's own name; None if it is called else."""
        if column in self._asked.headers.values() and self._asked.headers.get(name) != column:
            return None
        ranks = _RANKS[name]
        own = ranks.get(folded(column))
        if own is not None:
            return own
        beside = ranks.get(folded(_PREFIX.sub("", column)))
        return None if beside is None else beside + 1

    def _candidate(self, name: str, column: str, rank: int) -> _Candidate:
        values = self._values[column]
        if name == "created_utc":
            kinds = [_kind_of_time(value, folded(column)) for value in values]
            quality = max(set(kinds), key=kinds.count) if kinds else 0
            fitting = sum(kind > 0 for kind in kinds)
        else:
            quality, fitting = 1, sum(fits(name, value) for value in values)
        return _Candidate(column, rank, len(values) / max(1, len(self._sample)), fitting / max(1, len(values)), quality)

    def _time_of(self, column: str, word: str = "time") -> str:
        """Find out how a column writes times, and say it."""
        values = self._values[column]
        if any(len(date_orders(value)) == 2 for value in values) and self._dates.order is None:
            self._dates = Dates(self._order(column, word), self._dates.days)
        kinds = {_said_of_time(value) for value in values}
        if any(date_orders(value) for value in values):
            order = self._dates.order or next(iter(self._orders(values)), None)
            kinds.add(f"{order}" if order else "")
        if self._dates.days and _DAYS_ALONE in kinds:
            kinds = kinds - {_DAYS_ALONE} | {f"{_DAYS_ALONE}, taken as 00:00 UTC"}
        return ", ".join(sorted(filter(None, kinds)))

    @staticmethod
    def _orders(values: Iterable[str]) -> set[DateOrder]:
        found: set[DateOrder] = set()
        for value in values:
            possible = date_orders(value)
            if len(possible) == 1:
                found |= possible
                if len(found) == 2:
                    break
        return found

    def _order(self, column: str, word: str) -> DateOrder:
        """What comes first in the dates of the whole file."""
        found = self._orders(self._cells(column))
        if len(found) == 1:
            return next(iter(found))
        what = "in some rows the day comes first and in others the month" if found else "its rows do not tell"
        raise ArchiveError(
            f"{self._file}: nobody knows whether day or month comes first in `{column}`; {what}. Say it: "
            f"--columns {word}={column}:day-first or --columns {word}={column}:month-first."
        )

    def _rest(self, *, alone: bool) -> None:
        """Columns that are called like the API calls them, or are asked for."""
        for name, header in self._asked.headers.items():
            if name not in self._headers and header not in self._headers.values():
                self._headers[name] = header
                self._say(name, f"`{header}`", "as told")
        for name in ("num_comments", "over_18"):
            good = [each for each in self._candidates(name) if each.header not in self._headers.values() and each.good]
            if good and name not in self._headers:
                self._headers[name] = good[0].header
                self._say(name, f"`{good[0].header}`")
        for name, spellings in READ_ALONE.items() if alone else ():
            also = [each for each in self._header if folded(each) in map(folded, spellings)]
            if also and not any(_FOLDED.get(folded(each)) == name for each in self._header):
                self._headers[name] = also[0]
                self._say(name, f"`{also[0]}`")
        for name in _PLACE if any(folded(each) == "listing" for each in self._header) else ():
            own_names = [each for each in self._header if folded(each) == name]
            if own_names and own_names[0] not in self._headers.values():
                self._headers[name] = own_names[0]
        asked = {*self._asked.headers.values(), *self._series.columns, *([self._age[0]] if self._age else [])}
        for header in self._header:
            own = _FOLDED.get(folded(header)) or _FOLDED.get(folded(_PREFIX.sub("", header)))
            # What people have a word for was looked at, and another column is it, or none.
            if own is None or own in self._headers or header in asked or own in WORDS.values():
                continue
            if header not in self._headers.values():
                self._headers[own] = header

    def _say(self, name: str, source: str, how: str = "") -> None:
        self._meanings.append(Meaning(_word(name), source, how))

    def _all(self) -> str:
        return _listed(self._header) or "none"


_PLACE: Final = ("listing", "position", "rank")
_TIMES_OF_READING: Final = frozenset({"observed_at", "retrieved_on", "retrieved_utc", "retrieved_2nd_on"})


def _post_of(text: str) -> str | None:
    page = comment_page(text)
    return parse_post_id(text.strip()) if page is None else page.post_id


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(?:\.\d*)?", text) is not None


def _kind_of_time(text: str, column: str) -> int:
    """How much a time tells: 3 which moment it is, 2 that but for its zone, 1 the day alone, 0 nothing."""
    if not (fits("created_utc", text, Dates("day-first", days=True)) or date_orders(text)):
        return 0
    if _EPOCH.fullmatch(text) and not re.fullmatch(r"\d{8}", text):
        return 3
    if ":" not in text:
        return 1
    return 3 if _ZONED.search(text) or "utc" in column else 2


def _said_of_time(text: str) -> str:
    if not fits("created_utc", text, Dates("day-first", days=True)) and not date_orders(text):
        return ""
    if _EPOCH.fullmatch(text) and not re.fullmatch(r"\d{8}", text):
        digits = len(text.partition(".")[0].replace(",", ""))
        return "epoch in seconds" if digits <= 11 or "e" in text.lower() else "epoch in parts of a second"
    written = "ISO" if re.match(r"\d{4}-?\d\d-?\d\d", text) else "dates"
    if ":" not in text:
        return _DAYS_ALONE
    return f"{written} with zone" if _ZONED.search(text) else f"{written} without zone, taken as UTC"


def _word(name: str) -> str:
    return _WORD_OF.get(name, name)


def _listed(headers: Sequence[str]) -> str:
    more = f" and {len(headers) - _MOST_NAMES:,} more" if len(headers) > _MOST_NAMES else ""
    return ", ".join(f"`{header}`" for header in headers[:_MOST_NAMES]) + more

"""What is read from Reddit when: the plan of the listings, and the ages at which a score is read. Rules, no network."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self

from redpop_assets.durations import format_duration, parse_duration
from redpop_assets.errors import SettingsError
from redpop_assets.sources.listings import Listing
from redpop_assets.spellings import parse_community

LONGEST_LISTING = 1000
"""Posts after which Reddit ends every listing, about."""

ONCE_A_DAY = timedelta(days=1)

_MINUTE = timedelta(minutes=1)
_PLANNED = re.compile(r"(?P<listing>[^:@]+)(:(?P<depth>[^:@]*))?(@(?P<every>[^:@]*))?")
_LONGEST_TOLERANCE = timedelta(minutes=20)


def tolerance(every: timedelta) -> timedelta:
    """How much too early something periodic may be: a sixth of its period, at most 20 minutes.

    A harvest starts when the scheduler and the steps before it let it. Without tolerance, one that starts a minute
    earlier in its hour than the last one would put everything off to the next.
    """
    return min(every / 6, _LONGEST_TOLERANCE)


def _require_whole_minutes(duration: timedelta, plan: str) -> None:
    if duration % _MINUTE:
        raise SettingsError(
            f"{plan} {duration.total_seconds():g} seconds: write whole minutes, hours or days, such as 30m, 6h or 7d."
        )


@dataclass(frozen=True, slots=True)
class PlannedListing:
    """A listing, how many posts of it are read, and how often: `top/day:300@6h`.

    Without a depth it is read to its end, without a period once a day.

    Raises:
        SettingsError: depth outside of 1 to 1,000, or a period that is not of whole minutes.
    """

    listing: Listing
    depth: int = LONGEST_LISTING
    every: timedelta = ONCE_A_DAY

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= LONGEST_LISTING:
            raise SettingsError(
                f"{self.listing} is to be read to a depth of {self.depth} posts: write a number from 1 to "
                f"{LONGEST_LISTING}, where Reddit ends every listing."
            )
        _require_whole_minutes(self.every, f"{self.listing} is to be read every")

    def __str__(self) -> str:
        depth = "" if self.depth == LONGEST_LISTING else f":{self.depth}"
        return f"{self.listing}{depth}@{format_duration(self.every)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `listing[:depth][@every]`.

        Raises:
            SettingsError: the text has another form, or one of its parts is not acceptable.
        """
        match = _PLANNED.fullmatch(text.strip())
        if match is None:
            raise SettingsError(
                f"{text!r} is no planned listing: write listing[:depth][@every], such as top/day:300@6h."
            )
        listing = Listing.parse(match["listing"])
        depth, every = LONGEST_LISTING, ONCE_A_DAY
        if match["depth"] is not None:
            digits = match["depth"].strip()
            if not (digits.isascii() and digits.isdecimal() and len(digits) <= 4):
                raise SettingsError(
                    f"{text!r}: the depth {digits!r} is no number of posts from 1 to {LONGEST_LISTING}."
                )
            depth = int(digits)
        if match["every"] is not None:
            try:
                every = parse_duration(match["every"])
            except SettingsError as error:
                raise SettingsError(f"{text!r}: {error}") from None
        return cls(listing, depth, every)

    def due_at(self, last_read: datetime) -> datetime:
        """From when on the listing is due, if it was last read completely at `last_read`; see `tolerance`."""
        return last_read + self.every - tolerance(self.every)


@dataclass(frozen=True, slots=True)
class HarvestPlan:
    """Which listings of a subreddit are read, in this order, how deep and how often.

    Raises:
        SettingsError: no listing, or one twice.
    """

    entries: tuple[PlannedListing, ...]

    def __post_init__(self) -> None:
        if not self.entries:
            raise SettingsError("Name at least one listing, such as new@1h,top/day@1d.")
        names = [str(entry.listing) for entry in self.entries]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"{', '.join(twice)} is planned twice; name each listing once.")

    def __iter__(self) -> Iterator[PlannedListing]:
        return iter(self.entries)

    def __str__(self) -> str:
        return ",".join(map(str, self.entries))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `listing[:depth][@every],…`, such as `new@1h,hot:300@6h,top/all@7d`.

        Raises:
            SettingsError: as the classes.
        """
        return cls(tuple(PlannedListing.parse(part) for part in text.split(",") if part.strip()))

    def due(self, last_read: Mapping[Listing, datetime], now: datetime) -> tuple[PlannedListing, ...]:
        """What is to be read now: listings never read completely, and those whose last such reading is old enough.

        Args:
            last_read: start of the last complete reading of each listing (same zone as `now`).
            now: on Reddit's clock.
        """
        return tuple(
            entry for entry in self if entry.listing not in last_read or entry.due_at(last_read[entry.listing]) <= now
        )

    def next_due(self, last_read: Mapping[Listing, datetime]) -> tuple[PlannedListing, datetime]:
        """What is due first of all listings that have been read, and when.

        Raises:
            ValueError: none of them has been read.
        """
        read = [(entry.due_at(last_read[entry.listing]), entry) for entry in self if entry.listing in last_read]
        when, entry = min(read, key=lambda pair: pair[0])
        return entry, when


DEFAULT_PLAN = HarvestPlan.parse(
    "new@1h,rising:100@1h,top/hour:100@1h,hot:300@3h,top/day:500@6h,controversial/hour:100@6h,controversial/day:300@1d,"
    "top/week@1d,controversial/week@7d,top/month@7d,controversial/month@7d,"
    "top/year@30d,controversial/year@30d,top/all@30d,controversial/all@30d"
)
"""All listings; about 150 requests a day for one subreddit. What moves fast is read often, what is deep rarely."""


@dataclass(frozen=True, slots=True)
class HarvestPlans:
    """Subreddits, in lower case, that have a plan of their own."""

    plans: Mapping[str, HarvestPlan]

    def __str__(self) -> str:
        return json.dumps({name: str(plan) for name, plan in self.plans.items()}) if self.plans else ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a JSON object from subreddit, whose case does not matter, to plan; an empty text is none.

        Raises:
            SettingsError: no such object, a subreddit twice, or a plan that is none.
        """
        example = '{"pics": "new@30m,top/day@1d"}'
        try:
            pairs = json.loads(text, object_pairs_hook=list) if text.strip() else []
        except ValueError as error:
            raise SettingsError(f"This is no JSON ({error}); write {example}.") from None
        if not isinstance(pairs, list) or not all(
            isinstance(pair, tuple) and isinstance(pair[1], str) for pair in pairs
        ):
            raise SettingsError(f"Write a JSON object from subreddit to harvest plan, such as {example}.")
        plans: dict[str, HarvestPlan] = {}
        for name, plan in pairs:
            partition = parse_community(name).lower()
            if partition in plans:
                raise SettingsError(f"r/{partition} has two plans; Reddit does not distinguish case.")
            try:
                plans[partition] = HarvestPlan.parse(plan)
            except SettingsError as error:
                raise SettingsError(f"r/{partition}: {error}") from None
        return cls(plans)


@dataclass(frozen=True, slots=True)
class ObservationAges:
    """Ages at which the score of a young post is read, rising; `1h,3h,6h`.

    Raises:
        SettingsError: an age is not positive or not of whole minutes, or the ages do not rise.
    """

    ages: tuple[timedelta, ...]

    def __post_init__(self) -> None:
        if any(earlier >= later for earlier, later in zip((timedelta(0), *self.ages), self.ages, strict=False)):
            raise SettingsError("The ages of a post have to be positive and to rise, such as 1h,3h,6h,12h,24h.")
        for age in self.ages:
            _require_whole_minutes(age, "A post is to be read at an age of")

    def __iter__(self) -> Iterator[timedelta]:
        return iter(self.ages)

    def __str__(self) -> str:
        return ",".join(map(format_duration, self.ages))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read durations separated by commas; an empty text is none.

        Raises:
            SettingsError: as `parse_duration` and the class.
        """
        return cls(tuple(parse_duration(part) for part in text.split(",") if part.strip()))


@dataclass(frozen=True)
class Maturation:
    """When the score of a post is read until it has its label.

    At the observation ages below the label age, then every 24 hours, at the label age, and once 24 hours later. A post
    without a usable reading at or past the label age (the score was masked or absent) is read on every 24 hours until
    it is given up. One reading serves every scheduled age that the post has passed by then.

    Args:
        ages: the dense beginning, rising.
        label_age: age at which the score becomes the label.
        give_up: age past which a post is read no more.
    """

    ages: tuple[timedelta, ...]
    label_age: timedelta
    give_up: timedelta

    @cached_property
    def schedule(self) -> tuple[timedelta, ...]:
        """The scheduled ages of a post whose label can be read at once, rising."""
        dense = tuple(age for age in self.ages if age < self.label_age)
        nights = []
        night = (dense[-1] if dense else timedelta(0)) + ONCE_A_DAY
        while night < self.label_age:
            nights.append(night)
            night += ONCE_A_DAY
        ages = (*dense, *nights, self.label_age, self.label_age + ONCE_A_DAY)
        return tuple(age for age in ages if age <= self.give_up)

    def next_age(self, last_read: timedelta | None, *, labelled: bool) -> timedelta | None:
        """The first scheduled age that no reading has served yet; None if there is none any more.

        The post is due once it has that age, and the longer ago that is, the earlier it is read.

        Args:
            last_read: age of the post when it was last asked for; None if it never was.
            labelled: whether it has a usable reading at or past the label age.
        """
        found = next((age for age in self.schedule if last_read is None or age > last_read), None)
        if found or labelled or last_read is None:
            return found
        nights = (last_read - self.label_age) // ONCE_A_DAY + 1
        night = self.label_age + nights * ONCE_A_DAY
        return night if night <= self.give_up else None

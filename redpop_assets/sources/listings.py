"""What a subreddit can be asked for (its listings), and what one answer holds: plain values, no network."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from redpop_assets.errors import SettingsError

COMPLETE = ("end", "depth", "overlap", "upwards")
"""How a reading of `new` ends that knows all posts up to the newest one that it came across."""

TIME_FILTERS = ("hour", "day", "week", "month", "year", "all")
UNFILTERED = ("new", "hot", "rising")
FILTERED = ("top", "controversial")

_SUBREDDIT = re.compile(r"[A-Za-z0-9_]{2,21}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listing:
    """One ordering of a subreddit's posts, such as `new` or `top/week`.

    Raises:
        SettingsError: no such listing, a time filter is missing, or one is given where none belongs.
    """

    name: str
    time_filter: str = ""

    def __post_init__(self) -> None:
        if self.name in UNFILTERED:
            if self.time_filter:
                raise SettingsError(f"Listing {str(self)!r}: {self.name} takes no time filter; write {self.name!r}.")
        elif self.name in FILTERED:
            if self.time_filter not in TIME_FILTERS:
                choices = ", ".join(f"{self.name}/{time_filter}" for time_filter in TIME_FILTERS)
                raise SettingsError(f"Listing {str(self)!r} names no known time filter; choose from {choices}.")
        else:
            choices = ", ".join((*UNFILTERED, *(f"{name}/<time filter>" for name in FILTERED)))
            raise SettingsError(f"There is no listing {str(self)!r}; choose from {choices}.")

    def __str__(self) -> str:
        return f"{self.name}/{self.time_filter}" if self.time_filter else self.name

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `top/week` or `new`; case and outer spaces do not matter.

        Raises:
            SettingsError: the text names no listing.
        """
        name, slash, time_filter = text.strip().lower().partition("/")
        if slash and not time_filter:
            raise SettingsError(f"Listing {text!r} ends in a slash; write {name!r} or {name + '/week'!r}.")
        return cls(name, time_filter)

    def path(self, subreddit: str) -> str:
        """Path of the listing below the API's host, without a leading slash.

        Raises:
            SettingsError: `subreddit` is no name of one subreddit (merged ones, `a+b`, are asked for one by one).
        """
        if not _SUBREDDIT.fullmatch(subreddit):
            raise SettingsError(
                f"{subreddit!r} is no name of a subreddit: 2 to 21 letters, digits or underscores, without r/; "
                "such as EarthPorn."
            )
        return f"r/{subreddit}/{self.name}"

    @property
    def params(self) -> dict[str, str | int]:
        """Query parameters that select the time filter; empty for listings without one."""
        return {"t": self.time_filter} if self.time_filter else {}


ALL_LISTINGS = (
    *(Listing(name) for name in UNFILTERED),
    *(Listing(name, time_filter) for name in FILTERED for time_filter in TIME_FILTERS),
)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a request for a listing.

    Attributes:
        listing: what was asked for.
        observed_at: when Reddit answered, on Reddit's clock (aware, UTC, whole seconds).
        first_rank: items of the listing on the pages before this one.
        submissions: the raw submission objects, in the order of the listing.
        ranks: position of each submission in the listing, from 0. Items that are no submissions count too, and
            stickied posts do, so ranks may have gaps but are comparable between harvests.
    """

    listing: Listing
    observed_at: datetime
    first_rank: int
    submissions: tuple[dict[str, Any], ...]
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InfoPage:
    """One answer to a request for posts by id.

    Attributes:
        observed_at: when Reddit answered, on Reddit's clock (aware, UTC, whole seconds).
        requested: the ids asked for, without `t3_`.
        submissions: the raw submission objects that came back: possibly fewer than asked for. A missing post is
            not necessarily deleted.
    """

    observed_at: datetime
    requested: tuple[str, ...]
    submissions: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ListingRead:
    """A reading of a listing, as raw.listing_reads keeps it. Times are UTC without zone."""

    subreddit: str
    listing: str
    time_filter: str
    read_at: datetime
    posts: int
    new_posts: int
    requests: int
    ended: str
    oldest_created_at: datetime | None
    newest_created_at: datetime | None
    overlapped: bool | None
    gap_from: datetime | None
    gap_to: datetime | None

    @property
    def joined(self) -> str:
        """Whether it joined on to the reading before, in words that follow others; empty where that is not asked."""
        if self.overlapped is None:
            return ""
        if self.overlapped:
            return ", joined on to the reading before"
        return f", gap from {self.gap_from:%Y-%m-%d %H:%M} to {self.gap_to:%Y-%m-%d %H:%M} UTC"

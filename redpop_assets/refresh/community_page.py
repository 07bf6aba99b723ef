"""What there is to say of a community: read from the warehouse, whether or not anything was trained or analysed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.shrunken_means import shrunken_means
from redpop_assets.storage.rows import Readable

HOURS_A_WEEK: Final = 7 * 24

LEAST_SLOT_POSTS: Final = 5.0
"""Independent posts below which a slot is thin; posts of one author count as fewer."""

_DAY = np.timedelta64(86_400, "s")

_LABELLED = """
SELECT p.created_at, dense_rank() OVER (ORDER BY coalesce(p.author, p.post_id)) - 1 AS author, l.percentile
FROM core.labels AS l JOIN core.posts AS p USING (post_id)
WHERE l.subreddit = $subreddit AND l.post_id NOT IN (SELECT post_id FROM core.doubtful_labels)
"""


@dataclass(frozen=True)
class PastSlot:
    """How posts that were made at some time of the week did.

    Attributes:
        weekday: 0 for Monday to 6; None for all days.
        hour: of the clock, 0 to 23; None for all hours.
        posts: labelled ones.
        percentile: their mean percentile, drawn towards 0.5 as far as they are few; None without any.
        low, high: an interval of 80 % around it; None without any.
        thin: whether they are too few to say anything.
    """

    weekday: int | None
    hour: int | None
    posts: int
    percentile: float | None
    low: float | None
    high: float | None
    thin: bool

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out 0.5: better or worse than the community's usual post."""
        return self.low is not None and self.high is not None and not self.low <= 0.5 <= self.high


@dataclass(frozen=True)
class PastHours:
    """When the posts of a community that did well were made, by the clock of a time zone.

    Attributes:
        subreddit: in lower case.
        zone: name of the time zone.
        posts: labelled posts that this is from; doubtful labels are left out.
        slots: each hour of each weekday, Monday 0:00 first.
        hours: each hour of the day, whatever the weekday.
        weekdays: each weekday, whatever the hour.
    """

    subreddit: str
    zone: str
    posts: int
    slots: tuple[PastSlot, ...]
    hours: tuple[PastSlot, ...]
    weekdays: tuple[PastSlot, ...]

    def at(self, moment: datetime) -> PastSlot:
        """The slot in which a moment lies.

        Args:
            moment: aware, in whatever time zone.
        """
        local = moment.astimezone(ZoneInfo(self.zone))
        return self.slots[local.weekday() * 24 + local.hour]

    def best(self, number: int = 5) -> tuple[PastSlot, ...]:
        """The slots with the highest means, the best first; thin ones left out."""
        known = [slot for slot in self.slots if not slot.thin]
        return tuple(sorted(known, key=lambda slot: -(slot.percentile or 0.0))[:number])


def hours_of(warehouse: Readable, subreddit: str, zone: ZoneInfo) -> PastHours:
    """Read how posts of each hour of the week did: their mean percentile, drawn towards 0.5, with an interval of 80 %.

    The hour is that of the clock on the day of the post: summer and winter are kept apart. In the hour that the clock
    shows twice, both count.

    Args:
        warehouse: what is read.
        subreddit: in lower case; one without labelled posts has thin slots only.
        zone: whose clock counts.
    """
    rows = warehouse.query(_LABELLED, {"subreddit": subreddit})
    created = rows.column("created_at").to_numpy().astype("datetime64[s]")
    local = on_the_clock(created, zone)
    days = local.astype("datetime64[D]")
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    hour = (local - days).astype("timedelta64[h]").astype(np.int64)
    percentiles = rows.column("percentile").to_numpy().astype(np.float64)
    authors = rows.column("author").to_numpy().astype(np.int64)

    def slots(groups: npt.NDArray[np.int64], names: list[tuple[int | None, int | None]]) -> tuple[PastSlot, ...]:
        found = shrunken_means(percentiles, groups, authors, len(names))
        return tuple(
            PastSlot(
                *name,
                posts=int(found.counts[at]),
                percentile=float(found.mean[at]) if found.counts[at] else None,
                low=float(found.low[at]) if found.counts[at] else None,
                high=float(found.high[at]) if found.counts[at] else None,
                thin=bool(found.effective[at] < LEAST_SLOT_POSTS),
            )
            for at, name in enumerate(names)
        )

    return PastHours(
        subreddit=subreddit,
        zone=zone.key,
        posts=len(created),
        slots=slots(weekday * 24 + hour, [divmod(slot, 24) for slot in range(HOURS_A_WEEK)]),
        hours=slots(hour, [(None, hour) for hour in range(24)]),
        weekdays=slots(weekday, [(weekday, None) for weekday in range(7)]),
    )


def on_the_clock(moments: npt.NDArray[np.datetime64], zone: ZoneInfo) -> npt.NDArray[np.datetime64]:
    """What a clock in a time zone showed at each moment.

    Args:
        moments: (n,) datetime64[s], UTC.
        zone: where the clock hangs.

    Returns:
        (n,) datetime64[s], local.
    """
    if not len(moments):
        return moments
    days, at = np.unique(moments.astype("datetime64[D]").astype("datetime64[s]"), return_inverse=True)
    begin, end = _offsets(days, zone), _offsets(days + _DAY, zone)
    offset = begin[at]
    turning = np.flatnonzero(
        (begin != end)[at]
    )  # days on which the clock was changed: each of their posts is looked up
    offset[turning] = _offsets(moments[turning], zone)
    local: npt.NDArray[np.datetime64] = moments + offset
    return local


def _offsets(moments: npt.NDArray[np.datetime64], zone: ZoneInfo) -> npt.NDArray[np.timedelta64]:
    """(n,) how far the clock is ahead of UTC at each moment (seconds)."""
    ahead = [
        moment.replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta(0) for moment in moments.astype(object)
    ]
    return np.array(ahead, dtype="timedelta64[s]")

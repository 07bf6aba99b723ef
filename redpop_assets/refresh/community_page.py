"""What there is to say of a community: read from the warehouse, whether or not anything was trained or analysed.

What it is and asks, what is stored of it, when its posts did well, what is missing. How scores grow stands in `growth`,
who speaks for it and how that came true in `track_record`, what goes with scores in `going_with`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.shrunken_means import shrunken_means
from redpop_assets.refresh.growth import Growth, growth_of
from redpop_assets.refresh.track_record import (
    Championship,
    Leaderboard,
    TrackRecord,
    championship_of,
    leaderboard_of,
    record_of,
)
from redpop_assets.storage.rows import Readable

HOURS_A_WEEK: Final = 7 * 24

LEAST_SLOT_POSTS: Final = 5.0
"""Independent posts below which a slot is thin; posts of one author count as fewer."""

PACE_DAYS: Final = 30
"""Days up to the newest post over which posts per day are counted."""

_DAY = np.timedelta64(86_400, "s")

_ANOMALY_SAYS: Final[Mapping[str, str]] = {
    "gap": "Hardly a post: {observed:.1f} a day where {expected:.1f} would be usual; about {posts} are missing.",
    "first_readings": (
        "{observed:.0%} of the scores are 1 or less where {expected:.0%} would be usual: an archive read them when the "
        "posts were made. These {posts} labels are doubted."
    ),
    "new_level": (
        "Scores of 1 or less became {observed:.0%} of all where they had been {expected:.0%}, and stayed so: "
        "no label is doubted."
    ),
}

_LABELLED = """
SELECT p.created_at, dense_rank() OVER (ORDER BY coalesce(p.author, p.post_id)) - 1 AS author, l.percentile
FROM core.labels AS l JOIN core.posts AS p USING (post_id)
WHERE l.subreddit = $subreddit AND l.post_id NOT IN (SELECT post_id FROM core.doubtful_labels)
"""
_LISTED = """
WITH posts AS (
    SELECT subreddit, count(*) AS posts, max(created_at) AS newest_post_at FROM core.posts GROUP BY ALL
),
labels AS (SELECT subreddit, count(*) AS labelled FROM core.labels GROUP BY ALL),
readings AS (SELECT subreddit, max(observed_at) AS newest_reading_at FROM raw.observations GROUP BY ALL),
sizes AS (SELECT subreddit, arg_max(subscribers, day) AS subscribers FROM raw.community_sizes GROUP BY ALL)
SELECT
    subreddit, c.title, coalesce(s.subscribers, c.subscribers) AS subscribers,
    coalesce(p.posts, 0) AS posts, coalesce(labelled, 0) AS labelled, p.newest_post_at, newest_reading_at,
    m.predictor AS champion, b.spearman, b.spearman_low, b.spearman_high
FROM posts AS p
FULL JOIN core.communities AS c USING (subreddit)
LEFT JOIN labels USING (subreddit)
LEFT JOIN readings USING (subreddit)
LEFT JOIN sizes AS s USING (subreddit)
LEFT JOIN marts.champions AS m USING (subreddit)
LEFT JOIN marts.leaderboard AS b USING (subreddit, predictor)
ORDER BY subreddit
"""
_ABOUT = "SELECT * FROM core.communities WHERE subreddit = $subreddit"
_RULES = """
SELECT position, short_name, description, kind FROM core.community_rules
WHERE subreddit = $subreddit ORDER BY position
"""
_SIZES = "SELECT day, subscribers FROM raw.community_sizes WHERE subreddit = $subreddit ORDER BY day"
_PICTURES = """
SELECT count(*) FROM core.posts AS p JOIN core.image_fetches AS f ON f.url = p.image_urls[1]
WHERE p.subreddit = $subreddit AND f.image_sha256 IS NOT NULL
"""
_PACE = """
SELECT count(*) / $days FROM core.posts
WHERE subreddit = $subreddit AND created_at > $newest::TIMESTAMP - to_days($days)
"""
_LISTING_GAPS = """
SELECT gap_from, gap_to, read_at FROM raw.listing_reads
WHERE subreddit = $subreddit AND gap_from IS NOT NULL ORDER BY gap_from DESC
"""
_ANOMALIES = """
SELECT kind, first_day, last_day, observed, expected, posts FROM core.anomalies
WHERE subreddit = $subreddit ORDER BY first_day DESC
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


def _offsets(moments: npt.NDArray[Any], zone: ZoneInfo) -> npt.NDArray[np.timedelta64]:
    """(n,) how far the clock is ahead of UTC at each moment (seconds)."""
    ahead = [
        moment.replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta(0) for moment in moments.astype(object)
    ]
    return np.array(ahead, dtype="timedelta64[s]")


@dataclass(frozen=True)
class ListedCommunity:
    """A community of the warehouse in a line.

    Attributes:
        subreddit: in lower case.
        title: how it calls itself: text of strangers; None where nobody asked.
        subscribers: members, as last read; None where unknown.
        posts, labelled: that are stored; those of them with a label.
        newest_post_at, newest_reading_at: UTC; None without any.
        champion: the predictor that speaks for it; None without one.
        spearman, spearman_low, spearman_high: how well it ranks posts that it had not learnt from; None if unknown.
    """

    subreddit: str
    title: str | None
    subscribers: int | None
    posts: int
    labelled: int
    newest_post_at: datetime | None
    newest_reading_at: datetime | None
    champion: str | None
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None


@dataclass(frozen=True)
class Rule:
    """A rule of the moderators: texts of strangers, in Markdown.

    Attributes:
        position: place in their order, from 1.
        short_name: in a few words.
        description: what it means; often empty.
        kind: link (posts), comment or all.
    """

    position: int
    short_name: str
    description: str
    kind: str


@dataclass(frozen=True)
class Asks:
    """What Reddit refuses at once in a community; None and empty where it asks for nothing.

    Attributes:
        title_min_length, title_max_length: characters of a title.
        title_required: a title has one of these in it.
        title_forbidden: a title has none of these.
        title_patterns: regular expressions, one of which a title matches.
        flair_required: whether a post needs a flair.
        read_at: when this was read (UTC).
    """

    title_min_length: int | None
    title_max_length: int | None
    title_required: tuple[str, ...]
    title_forbidden: tuple[str, ...]
    title_patterns: tuple[str, ...]
    flair_required: bool
    read_at: datetime


@dataclass(frozen=True)
class Size:
    """How many members a community had on a day (UTC)."""

    day: date
    members: int


@dataclass(frozen=True)
class About:
    """What a community is and asks.

    Attributes:
        title, description: how it calls itself, and what it says of itself, in Markdown: texts of strangers.
        over_18: whether all of it is for adults; None where unknown.
        subscribers: members, as last read; None where unknown.
        sizes: day by day, the oldest first.
        rules: of its moderators.
        asks: None where nobody could ask Reddit.
        read_at: when the description was read (UTC); None if it never was.
    """

    title: str | None
    description: str | None
    over_18: bool | None
    subscribers: int | None
    sizes: tuple[Size, ...]
    rules: tuple[Rule, ...]
    asks: Asks | None
    read_at: datetime | None


@dataclass(frozen=True)
class Stock:
    """What the warehouse has of a community.

    Attributes:
        posts, labelled, pictures: stored posts; those with a label; those with a picture.
        a_day: posts per day over the last 30 days of the newest post.
        oldest_post_at, newest_post_at, newest_reading_at: UTC; None without any.
    """

    posts: int
    labelled: int
    pictures: int
    a_day: float | None
    oldest_post_at: datetime | None
    newest_post_at: datetime | None
    newest_reading_at: datetime | None


@dataclass(frozen=True)
class Gap:
    """A time of which something is missing or wrong.

    Attributes:
        kind: listing (posts between two readings may have been missed), gap (days with hardly a post), first_readings
            (scores that an archive read once, when posts were new) or new_level (scores changed for good).
        begin, end: UTC; of days, both included.
        says: what is wrong, in a sentence.
    """

    kind: str
    begin: datetime
    end: datetime
    says: str


@dataclass(frozen=True)
class CommunityPage:
    """All that is said of one community; `hours_of` and `redpop_assets.refresh.going_with` say the rest."""

    subreddit: str
    about: About
    stock: Stock
    growth: Growth
    leaderboard: Leaderboard
    champion: Championship
    record: TrackRecord
    gaps: tuple[Gap, ...]


def listed(warehouse: Readable) -> tuple[ListedCommunity, ...]:
    """All communities that have posts, or that somebody asked about, by name.

    Args:
        warehouse: what is read.
    """
    rows = warehouse.query(_LISTED).to_pylist()
    return tuple(ListedCommunity(**row) for row in rows)


def is_known(warehouse: Readable, subreddit: str) -> bool:
    """Whether the warehouse has posts of a community, or anything that was said of it.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    known = """
    SELECT EXISTS (FROM core.posts WHERE subreddit = $subreddit)
        OR EXISTS (FROM raw.communities WHERE subreddit = $subreddit)
    """
    return bool(warehouse.scalar(known, {"subreddit": subreddit}))


def community_page(warehouse: Readable, subreddit: str) -> CommunityPage | None:
    """What there is to say of a community; None where the warehouse has nothing of it.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    if not is_known(warehouse, subreddit):
        return None
    stock = _stock(warehouse, subreddit)
    return CommunityPage(
        subreddit=subreddit,
        about=_about(warehouse, subreddit),
        stock=stock,
        growth=growth_of(warehouse, subreddit),
        leaderboard=leaderboard_of(warehouse, subreddit),
        champion=championship_of(warehouse, subreddit),
        record=record_of(warehouse, subreddit),
        gaps=_gaps(warehouse, subreddit),
    )


def _about(warehouse: Readable, subreddit: str) -> About:
    scope = {"subreddit": subreddit}
    row = next(iter(warehouse.query(_ABOUT, scope).to_pylist()), None)
    sizes = tuple(Size(day["day"], day["subscribers"]) for day in warehouse.query(_SIZES, scope).to_pylist())
    rules = tuple(
        Rule(rule["position"], rule["short_name"] or "", rule["description"] or "", rule["kind"] or "all")
        for rule in warehouse.query(_RULES, scope).to_pylist()
    )
    if row is None:
        return About(None, None, None, sizes[-1].members if sizes else None, sizes, rules, None, None)
    asks = None
    if row["requirements_read_at"] is not None:
        asks = Asks(
            title_min_length=row["title_min_length"],
            title_max_length=row["title_max_length"],
            title_required=tuple(row["title_required"] or ()),
            title_forbidden=tuple(row["title_forbidden"] or ()),
            title_patterns=tuple(row["title_patterns"] or ()),
            flair_required=bool(row["flair_required"]),
            read_at=row["requirements_read_at"],
        )
    return About(
        title=row["title"],
        description=row["description"],
        over_18=row["over_18"],
        subscribers=sizes[-1].members if sizes else row["subscribers"],
        sizes=sizes,
        rules=rules,
        asks=asks,
        read_at=row["read_at"],
    )


def _stock(warehouse: Readable, subreddit: str) -> Stock:
    scope = {"subreddit": subreddit}
    row = warehouse.query(
        "SELECT count(*) AS posts, min(created_at) AS oldest, max(created_at) AS newest FROM core.posts "
        "WHERE subreddit = $subreddit",
        scope,
    ).to_pylist()[0]
    pace = {**scope, "days": PACE_DAYS, "newest": row["newest"]}
    return Stock(
        posts=row["posts"],
        labelled=warehouse.scalar("SELECT count(*) FROM core.labels WHERE subreddit = $subreddit", scope),
        pictures=warehouse.scalar(_PICTURES, scope),
        a_day=warehouse.scalar(_PACE, pace) if row["posts"] else None,
        oldest_post_at=row["oldest"],
        newest_post_at=row["newest"],
        newest_reading_at=warehouse.scalar(
            "SELECT max(observed_at) FROM raw.observations WHERE subreddit = $subreddit", scope
        ),
    )


def _gaps(warehouse: Readable, subreddit: str) -> tuple[Gap, ...]:
    scope = {"subreddit": subreddit}
    gaps = [
        Gap(
            "listing",
            row["gap_from"],
            row["gap_to"],
            "Posts made in between may have been missed: two readings of the listing did not meet.",
        )
        for row in warehouse.query(_LISTING_GAPS, scope).to_pylist()
    ]
    for row in warehouse.query(_ANOMALIES, scope).to_pylist():
        begin, end = (datetime.combine(row[day], time()) for day in ("first_day", "last_day"))
        gaps.append(Gap(row["kind"], begin, end, _ANOMALY_SAYS[row["kind"]].format(**row)))
    return tuple(sorted(gaps, key=lambda gap: gap.begin, reverse=True))

"""What the readings of a post tell while it is young: how it stands at an age, and nothing that was read later.

**The rule.** Of an age a (hours) count the readings whose post was at most a old, and nothing else: they are taken out
first, so that no later one can reach a number. The newest of them has to be of at least `FRESH` of that age; where it
is older, the post has nothing to say at a. Nothing is carried on from the age of a reading to a: that age is one of the
numbers, and what is usual is compared at it. Only halfway between readings, for the speed of the first and of the
second half, values are interpolated, between readings that count. A hidden score is none, and a fuzzed one is what it
is.

Speeds are points, or comments, an hour; as Szabo & Huberman 2010 ("Predicting the popularity of online content"), all
counts are looked at on a logarithmic scale.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self, TypeAlias

from redpop_assets.arrays import np, npt

FORECAST_AGES: Final = (1, 3, 6, 24)
"""Ages at which posts are forecast from their readings (hours)."""

FRESH: Final = 0.5
"""Share of an age that the newest reading by it must have reached at least."""

LISTINGS: Final = ("new", "hot", "rising")
"""Listings whose places count."""

BLOCK: Final = "early"
"""Name of the block that predictors of an age look at."""

COLUMNS: Final = (
    *("reading_age_hours", "readings", "masked", "log_score", "upvote_ratio", "log_comments", "log_crossposts"),
    *(f"rank_{listing}" for listing in LISTINGS),
    *("score_speed", "score_speed_change", "comment_speed", "comment_speed_change", "still_up"),
)
"""Columns of features.early_readings that are numbers, in their order."""

_BEGIN: Final = {"score": 1.0, "comments": 0.0}
"""What every post has at the age 0."""

_LEAST_HOURS: Final = 1 / 60
_SPAN: Final = 4096.0  # hours: more than any age that is looked at

Doubles: TypeAlias = "npt.NDArray[np.float64]"
Numbers: TypeAlias = "npt.NDArray[np.int64]"


@dataclass(frozen=True, eq=False)
class Readings:
    """m readings of posts, in any order.

    Attributes:
        post: (m,) numbers of their posts, from 0.
        age_hours: (m,) ages of the posts.
        score: (m,) points; NaN where the score is hidden or not said.
        masked: (m,) bool, whether it is hidden.
        upvote_ratio, comments, crossposts: (m,); NaN where not said.
        removed: (m,) bool, whether the post was down.
    """

    post: Numbers
    age_hours: Doubles
    score: Doubles
    masked: npt.NDArray[np.bool_]
    upvote_ratio: Doubles
    comments: Doubles
    crossposts: Doubles
    removed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.post)

    def of(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        """Some of them, by flag or number."""
        return type(self)(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})

    def by(self, age: float) -> Self:
        """Those that count at an age (hours), by post and then by age."""
        counted = np.flatnonzero((self.age_hours >= 0) & (self.age_hours <= age))
        return self.of(counted[np.lexsort((self.age_hours[counted], self.post[counted]))])


@dataclass(frozen=True, eq=False)
class Sightings:
    """k places of posts in listings, in any order.

    Attributes:
        post: (k,) numbers of the posts, from 0.
        age_hours: (k,) their ages.
        listing: (k,) place in `LISTINGS`.
        rank: (k,) from 0.
    """

    post: Numbers
    age_hours: Doubles
    listing: Numbers
    rank: Numbers


def early_features(readings: Readings, sightings: Sightings, age: float) -> tuple[Numbers, dict[str, Doubles]]:
    """What was known of posts at an age.

    Args:
        readings: of any age; those that are older than `age` change nothing.
        sightings: likewise.
        age: hours.

    Returns:
        Numbers of the p posts with a reading that is fresh enough, ascending, and (p,) each of `COLUMNS`.
    """
    known = readings.by(age)
    newest = _last_of_each(known.post)
    newest = newest[known.age_hours[newest] >= FRESH * age]
    posts = known.post[newest]
    last = known.of(newest)
    found: dict[str, Doubles] = {
        "reading_age_hours": last.age_hours,
        "readings": np.bincount(known.post, minlength=int(posts.max(initial=-1)) + 1)[posts].astype(np.float64),
        "masked": last.masked.astype(np.float64),
        "log_score": signed_log(last.score),
        "upvote_ratio": last.upvote_ratio,
        "log_comments": signed_log(last.comments),
        "log_crossposts": signed_log(last.crossposts),
        **{f"rank_{name}": _place(sightings, number, posts, age) for number, name in enumerate(LISTINGS)},
        "still_up": (~last.removed).astype(np.float64),
    }
    for value, name in (("score", "score"), ("comments", "comment")):
        speed, change = _speeds(known, getattr(known, value), _BEGIN[value], posts, age)
        found[f"{name}_speed"], found[f"{name}_speed_change"] = signed_log(speed), signed_log(change)
    return posts, {name: found[name] for name in COLUMNS}


def signed_log(values: Doubles) -> Doubles:
    """sign(v) * ln(1 + |v|), (n,)."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _last_of_each(post: Numbers) -> npt.NDArray[np.intp]:
    """Rows of the last entry of each post, of posts in order."""
    return np.flatnonzero(np.append(post[1:] != post[:-1], True)) if len(post) else np.zeros(0, dtype=np.intp)


def _place(sightings: Sightings, listing: int, posts: Numbers, age: float) -> Doubles:
    """(p,) ln(1 + place) where a listing showed each post last, NaN where that is too long ago or never was."""
    some = (sightings.listing == listing) & (sightings.age_hours <= age) & (sightings.age_hours >= FRESH * age)
    post, when, rank = sightings.post[some], sightings.age_hours[some], sightings.rank[some]
    order = np.lexsort((rank, when, post))
    post, rank = post[order], rank[order]
    last = _last_of_each(post)
    return _looked_up(posts, post[last], np.log1p(rank[last].astype(np.float64)))


def _speeds(known: Readings, values: Doubles, begin: float, posts: Numbers, age: float) -> tuple[Doubles, Doubles]:
    """(p,) change an hour in the second half of the time up to the newest value, and by how much that is more than in
    the first; NaN where no value is fresh enough."""
    said = np.flatnonzero(~np.isnan(values))
    post, when, value = known.post[said], known.age_hours[said], values[said]
    last = _last_of_each(post)
    last = last[when[last] >= max(FRESH * age, _LEAST_HOURS)]
    half = when[last] / 2
    # The first value after the half is there, since the last one is; before it there may be none but the beginning.
    after = np.searchsorted(post * _SPAN + when, post[last] * _SPAN + half, side="right")
    before = np.maximum(after - 1, 0)
    inside = (after > 0) & (post[before] == post[last])
    from_age, from_value = np.where(inside, when[before], 0.0), np.where(inside, value[before], begin)
    share = (half - from_age) / (when[after] - from_age)
    middle = from_value + share * (value[after] - from_value)
    second, first = (value[last] - middle) / half, (middle - begin) / half
    return _looked_up(posts, post[last], second), _looked_up(posts, post[last], second - first)


def _looked_up(wanted: Numbers, have: Numbers, values: Doubles) -> Doubles:
    """Values of the wanted posts, both ascending; NaN where there is none."""
    found = np.full(len(wanted), np.nan)
    if len(have):
        at = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
        there = have[at] == wanted
        found[there] = values[at[there]]
    return found

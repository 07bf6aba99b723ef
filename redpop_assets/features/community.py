"""How the community of a post was doing when it was made: its traffic, its size, and what its scores were of late.

The traffic says with how many fresh posts a new one competes; the latest mature scores say what a score there is worth,
so that growth and decline of a community need not be learnt from the calendar date. Scores are seen as in
`redpop_assets.features.authors`: only from strictly earlier posts, and only once they were mature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.past import (
    SECONDS_PER_DAY,
    Doubles,
    History,
    Ints,
    Moments,
    Ordered,
    Posts,
    Quantiles,
    checked_posts,
    codes,
    ratio,
)

CODE_VERSION: Final = "1"
"""Raise it whenever a community would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "posts_last_30min",
    "posts_last_hour",
    "posts_last_2h",
    "posts_last_6h",
    "posts_last_24h",
    "posts_last_7d",
    "authors_last_24h",
    "usual_posts_this_hour",
    "hour_log_ratio",
    "hour_has_usual_rate",
    "has_scores",
    "recent_scores",
    "recent_mean_log_score",
    "recent_median_log_score",
    "recent_q90_log_score",
    "month_scores",
    "month_mean_log_score",
    "month_median_log_score",
    "month_q90_log_score",
    "log_subscribers",
    "subscribers_known",
)
"""Order of the columns of `community_features`; all are scalars."""

RECENT_SCORES: Final = 100
"""How many of the latest mature scores are the recent ones."""

MONTH_DAYS: Final = 30
"""Days within which a score matured that belongs to the month."""

USUAL_DAYS: Final = 28
"""Days before a post over which the usual rate at its time of the day is taken: four whole weeks."""

FIRST_SIGHT_SECONDS: Final = 900
"""Age of a post up to which the number of subscribers read with it counts as that of its creation."""

SUBSCRIBERS_LAST_DAYS: Final = 30
"""How long a number of subscribers that was read with an earlier post may be used."""

_HOUR = 3600
_WINDOWS = {
    "posts_last_30min": _HOUR // 2,
    "posts_last_hour": _HOUR,
    "posts_last_2h": 2 * _HOUR,
    "posts_last_6h": 6 * _HOUR,
    "posts_last_24h": 24 * _HOUR,
    "posts_last_7d": 7 * 24 * _HOUR,
}


def community_features(
    post_ids: Sequence[str],
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    *,
    subscribers: npt.NDArray[np.floating] | None = None,
    subscribers_observed_at: npt.NDArray[np.datetime64] | None = None,
    recent: int = RECENT_SCORES,
) -> dict[str, npt.NDArray[np.float32]]:
    """Describe the community at the moment of each of its posts. Takes O(n log n).

    A post sees only posts of strictly earlier seconds, and their scores only once they were mature; rows never change
    when later posts, or scores that had not matured, are added or altered, and do not depend on the order of the input.

    Args:
        post_ids: n ids of the posts of one subreddit.
        authors: n keyed hashes; an unknown author, None, counts once per post.
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: creation plus label age and label window, as in `author_features`.
        log_score: (n,) labels, all on one score scale; NaN for posts without one.
        subscribers: (n,) members of the community as read with each post, NaN where unknown; None for all unknown.
        subscribers_observed_at: (n,) datetime64, UTC: when that was read, NaT where unknown, which makes the number
            unknown too. None: at the creation of each post.
        recent: how many of the latest mature scores are the recent ones, at least 1.

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `posts_last_*`: posts created in the time before, the current second excluded: those of the last half hour
          and two hours are still young and compete for the same places;
        * `authors_last_24h`: different authors of the posts of the last 24 hours;
        * `usual_posts_this_hour`: posts in the hour that ended at the same time of the day, on average over the
          `USUAL_DAYS` days before, as far as the community has posts that far back; `hour_log_ratio`: ln((1 +
          `posts_last_hour`) / (1 + usual)); both 0 where `hour_has_usual_rate` (0 or 1) is 0;
        * `has_scores` (0 or 1): some score was mature; else all about scores is 0;
        * `recent_scores`: number of the latest mature scores, at most `recent`, by when they matured; their mean,
          median and 90 % quantile on the log scale;
        * `month_scores`: scores that matured in the `MONTH_DAYS` days before; the same of those, or of the recent ones
          where there are none;
        * `log_subscribers`: ln(1 + members), from the reading with the post itself if that was made within
          `FIRST_SIGHT_SECONDS` of its creation, else from the latest one that was made before this creation with an
          earlier post, at most `SUBSCRIBERS_LAST_DAYS` days ago; 0 where `subscribers_known` (0 or 1) is 0.

    Raises:
        ValueError: lengths differ, a time is missing, a score is no log score, a post matures before it is created,
            `recent` is below 1, or a number of subscribers is negative or infinite.
    """
    posts = checked_posts(post_ids, created_at, matured_at, log_score)
    if len(authors) != len(posts.created):
        raise ValueError("authors must have one entry per post")
    if recent < 1:
        raise ValueError(f"recent must be at least 1, and is {recent}")
    members, read_at = _checked_readings(posts, subscribers, subscribers_observed_at)
    # Questions in the order of time are answered much faster than in any other.
    rows = np.argsort(posts.rank)
    posts = posts.take(rows)
    everyone = np.zeros_like(posts.created)
    features = {
        **_traffic(posts, everyone, codes(authors)[0][rows]),
        **_levels(posts, everyone, recent),
        **_size(posts, everyone, members[rows], read_at[rows]),
    }
    found = {name: np.empty(len(rows), dtype=np.float32) for name in COLUMNS}
    for name, values in found.items():
        values[rows] = features[name]
    return found


def _traffic(posts: Posts, everyone: Ints, author: Ints) -> dict[str, npt.NDArray[np.generic]]:
    """Posts and authors before each post, and what is usual at that time of the day."""
    now = posts.created
    made = History(everyone, now + 1, posts.rank)

    def until(moment: Ints) -> Ints:
        return made.until(everyone, moment)

    here = until(now)
    features: dict[str, npt.NDArray[np.generic]] = {
        name: here - until(now - seconds) for name, seconds in _WINDOWS.items()
    }
    features["authors_last_24h"] = _authors_within(posts, made, everyone, author, SECONDS_PER_DAY)

    seen, days = np.zeros_like(now), np.zeros_like(now)
    first = now.min() if len(now) else 0
    for day in range(1, USUAL_DAYS + 1):
        then = now - day * SECONDS_PER_DAY
        # The community's first post marks the beginning of what is known of it.
        covered = then - _HOUR >= first
        seen += np.where(covered, until(then) - until(then - _HOUR), 0)
        days += covered
    usual = ratio(seen, days)
    last_hour = here - until(now - _HOUR)
    features["usual_posts_this_hour"] = usual
    features["hour_log_ratio"] = np.where(days > 0, np.log((1.0 + last_hour) / (1.0 + usual)), 0.0)
    features["hour_has_usual_rate"] = days > 0
    return features


def _authors_within(posts: Posts, made: History, everyone: Ints, author: Ints, seconds: int) -> Ints:
    """Different authors in the `seconds` before each post."""
    end = made.until(everyone, posts.created)
    start = made.until(everyone, posts.created - seconds)
    in_order = author[made.order]
    # Where the author's post before stands, counted from 1; an author is new to a window that begins behind it.
    before = np.zeros(len(in_order), dtype=np.int64)
    known = np.flatnonzero(in_order >= 0)
    by_author = known[np.argsort(in_order[known], kind="stable")]
    again = in_order[by_author[1:]] == in_order[by_author[:-1]]
    before[by_author[1:][again]] = by_author[:-1][again] + 1
    return Ordered(before).below(start, end, start + 1)


def _levels(posts: Posts, everyone: Ints, recent: int) -> dict[str, npt.NDArray[np.generic]]:
    """What the latest mature scores were."""
    now = posts.created
    mature = History(np.where(posts.labelled, everyone, -1), posts.visible_from, posts.rank)
    end = mature.until(everyone, now)
    moments, quantiles = Moments.of(mature, posts.scores), Quantiles(mature, posts.scores)

    def level(start: Ints, default: Sequence[Doubles]) -> list[Doubles]:
        of_mean, of_median, of_q90 = default
        (median,) = quantiles.at(start, end, [0.5], of_median)
        (q90,) = quantiles.at(start, end, [0.9], of_q90)
        return [moments.mean(start, end, of_mean), median, q90]

    start_recent = np.maximum(end - recent, 0)
    start_month = mature.until(everyone, now - MONTH_DAYS * SECONDS_PER_DAY)
    of_recent = level(start_recent, [np.zeros(len(now))] * 3)
    of_month = level(start_month, of_recent)
    features: dict[str, npt.NDArray[np.generic]] = {
        "has_scores": end > 0,
        "recent_scores": end - start_recent,
        "month_scores": end - start_month,
    }
    for name, values in (("recent", of_recent), ("month", of_month)):
        for kind, value in zip(("mean", "median", "q90"), values, strict=True):
            features[f"{name}_{kind}_log_score"] = value
    return features


def _checked_readings(
    posts: Posts, subscribers: npt.NDArray[np.floating] | None, observed_at: npt.NDArray[np.datetime64] | None
) -> tuple[Doubles, Ints]:
    """Numbers of members, NaN where unknown, and when they were read (epoch seconds)."""
    members = np.full(len(posts.created), np.nan) if subscribers is None else np.asarray(subscribers, dtype=np.float64)
    read_at = np.asarray(posts.created if observed_at is None else observed_at).astype("datetime64[s]")
    if not len(posts.created) == len(members) == len(read_at):
        raise ValueError("subscribers and subscribers_observed_at must have one entry per post")
    if (members < 0).any() or np.isinf(members).any():
        raise ValueError("a number of subscribers is negative or infinite; unknown ones are NaN")
    return np.where(np.isnat(read_at), np.nan, members), read_at.astype(np.int64)


def _size(posts: Posts, everyone: Ints, members: Doubles, read_at: Ints) -> dict[str, npt.NDArray[np.generic]]:
    """How many members the community had."""
    now = posts.created
    known = ~np.isnan(members)
    read_at = np.where(known, read_at, now)
    own = known & (read_at - now <= FIRST_SIGHT_SECONDS)
    readings = History(np.where(known, everyone, -1), np.maximum(read_at, now + 1), posts.rank)
    end = readings.until(everyone, now)
    latest = np.append(readings.order, 0)[end - 1]
    fresh = (end > 0) & (now - read_at[latest] <= SUBSCRIBERS_LAST_DAYS * SECONDS_PER_DAY)
    size = np.where(own, members, np.where(fresh, members[latest], 0.0))
    return {"log_subscribers": np.log1p(size), "subscribers_known": own | fresh}


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    timeline = subjects.timeline
    posts = timeline.here
    return timeline.of_due(
        community_features(
            posts.post_ids,
            posts.authors,
            posts.created_at,
            posts.matured_at,
            posts.log_score,
            subscribers=timeline.subscribers,
            subscribers_observed_at=timeline.subscribers_seen_at,
        )
    )


FAMILY: Final = Family(
    "community",
    "features.community_features",
    "post",
    CODE_VERSION,
    _of_posts,
    made_from=("core.labels",),
    past="community",
    step="post_history",
)

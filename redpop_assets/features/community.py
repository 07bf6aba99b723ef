"""How the community of a post was doing when it was made: its traffic, its size, and what its scores were of late.

The traffic says with how many fresh posts a new one competes; the latest mature scores say what a score there is worth,
so that growth and decline of a community need not be learnt from the calendar date. Scores are seen as in
`redpop_assets.features.authors`: only from strictly earlier posts, and only once they were mature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Past, Subjects
from redpop_assets.features.past import (
    SECONDS_PER_DAY,
    Doubles,
    History,
    Ints,
    Moments,
    Ordered,
    Quantiles,
    checked_posts,
    codes,
    moments_of,
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
    past = CommunityPast(
        post_ids, authors, created_at, matured_at, log_score, subscribers, subscribers_observed_at, recent=recent
    )
    return past.features(moments_of(created_at), subscribers, subscribers_observed_at)


class CommunityPast:
    """The posts of a subreddit, prepared for questions about it. Arguments are those of `community_features`."""

    def __init__(
        self,
        post_ids: Sequence[str],
        authors: Sequence[str | None],
        created_at: npt.NDArray[np.datetime64],
        matured_at: npt.NDArray[np.datetime64],
        log_score: npt.NDArray[np.floating],
        subscribers: npt.NDArray[np.floating] | None = None,
        subscribers_observed_at: npt.NDArray[np.datetime64] | None = None,
        *,
        recent: int = RECENT_SCORES,
    ) -> None:
        posts = checked_posts(post_ids, created_at, matured_at, log_score)
        if len(authors) != len(posts.created):
            raise ValueError("authors must have one entry per post")
        if recent < 1:
            raise ValueError(f"recent must be at least 1, and is {recent}")
        everyone = np.zeros_like(posts.created)
        self._recent = recent
        # The community's first post marks the beginning of what is known of it.
        self._begin = posts.created.min(initial=np.iinfo(np.int64).max)
        self._made = History(everyone, posts.created + 1, posts.rank)
        self._post_before = Ordered(_post_before(codes(authors)[0][self._made.order]))
        self._mature = History(np.where(posts.labelled, everyone, -1), posts.visible_from, posts.rank)
        self._moments = Moments.of(self._mature, posts.scores)
        self._quantiles = Quantiles(self._mature, posts.scores)
        members, read_at = _checked_readings(posts.created, subscribers, subscribers_observed_at)
        known = ~np.isnan(members)
        read_at = np.where(known, read_at, posts.created)
        self._readings = History(np.where(known, everyone, -1), np.maximum(read_at, posts.created + 1), posts.rank)
        self._members = np.append(members[self._readings.order], 0.0)
        self._read_at = np.append(read_at[self._readings.order], 0)

    def features(
        self,
        now: Ints,
        subscribers: npt.NDArray[np.floating] | None = None,
        subscribers_observed_at: npt.NDArray[np.datetime64] | None = None,
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The columns of `COLUMNS` at m moments (epoch seconds), and with what was read of posts made then."""
        members, read_at = _checked_readings(now, subscribers, subscribers_observed_at)
        # Questions in the order of time are answered much faster than in any other.
        rows = np.argsort(now, kind="stable")
        now, members, read_at = now[rows], members[rows], read_at[rows]
        everyone = np.zeros_like(now)
        features = {
            **self._traffic(everyone, now),
            **self._levels(everyone, now),
            **self._size(everyone, now, members, read_at),
        }
        found = {name: np.empty(len(rows), dtype=np.float32) for name in COLUMNS}
        for name, values in found.items():
            values[rows] = features[name]
        return found

    def _traffic(self, everyone: Ints, now: Ints) -> dict[str, npt.NDArray[np.generic]]:
        """Posts and authors before each moment, and what is usual at that time of the day."""

        def until(moment: Ints) -> Ints:
            return self._made.until(everyone, moment)

        here = until(now)
        features: dict[str, npt.NDArray[np.generic]] = {
            name: here - until(now - seconds) for name, seconds in _WINDOWS.items()
        }
        start = until(now - SECONDS_PER_DAY)
        features["authors_last_24h"] = self._post_before.below(start, here, start + 1)

        seen, days = np.zeros_like(now), np.zeros_like(now)
        for day in range(1, USUAL_DAYS + 1):
            then = now - day * SECONDS_PER_DAY
            covered = then - _HOUR >= self._begin
            seen += np.where(covered, until(then) - until(then - _HOUR), 0)
            days += covered
        usual = ratio(seen, days)
        last_hour = here - until(now - _HOUR)
        features["usual_posts_this_hour"] = usual
        features["hour_log_ratio"] = np.where(days > 0, np.log((1.0 + last_hour) / (1.0 + usual)), 0.0)
        features["hour_has_usual_rate"] = days > 0
        return features

    def _levels(self, everyone: Ints, now: Ints) -> dict[str, npt.NDArray[np.generic]]:
        """What the latest mature scores were."""
        end = self._mature.until(everyone, now)

        def level(start: Ints, default: Sequence[Doubles]) -> list[Doubles]:
            of_mean, of_median, of_q90 = default
            (median,) = self._quantiles.at(start, end, [0.5], of_median)
            (q90,) = self._quantiles.at(start, end, [0.9], of_q90)
            return [self._moments.mean(start, end, of_mean), median, q90]

        start_recent = np.maximum(end - self._recent, 0)
        start_month = self._mature.until(everyone, now - MONTH_DAYS * SECONDS_PER_DAY)
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

    def _size(self, everyone: Ints, now: Ints, members: Doubles, read_at: Ints) -> dict[str, npt.NDArray[np.generic]]:
        """How many members the community had."""
        own = ~np.isnan(members) & (read_at - now <= FIRST_SIGHT_SECONDS)
        end = self._readings.until(everyone, now)
        fresh = (end > 0) & (now - self._read_at[end - 1] <= SUBSCRIBERS_LAST_DAYS * SECONDS_PER_DAY)
        size = np.where(own, members, np.where(fresh, self._members[end - 1], 0.0))
        return {"log_subscribers": np.log1p(size), "subscribers_known": own | fresh}


def _post_before(author: Ints) -> Ints:
    """Where the post before by the same author stands, counted from 1; an author is new to a window that begins behind.

    Args:
        author: (n,) codes in the order of time.

    Returns:
        (n,) 0 where there is none, or nobody knows whose the post is.
    """
    before = np.zeros(len(author), dtype=np.int64)
    known = np.flatnonzero(author >= 0)
    by_author = known[np.argsort(author[known], kind="stable")]
    again = author[by_author[1:]] == author[by_author[:-1]]
    before[by_author[1:][again]] = by_author[:-1][again] + 1
    return before


def _checked_readings(
    created: Ints, subscribers: npt.NDArray[np.floating] | None, observed_at: npt.NDArray[np.datetime64] | None
) -> tuple[Doubles, Ints]:
    """Numbers of members, NaN where unknown, and when they were read (epoch seconds)."""
    members = np.full(len(created), np.nan) if subscribers is None else np.asarray(subscribers, dtype=np.float64)
    read_at = np.asarray(created if observed_at is None else observed_at).astype("datetime64[s]")
    if not len(created) == len(members) == len(read_at):
        raise ValueError("subscribers and subscribers_observed_at must have one entry per post")
    if (members < 0).any() or np.isinf(members).any():
        raise ValueError("a number of subscribers is negative or infinite; unknown ones are NaN")
    return np.where(np.isnat(read_at), np.nan, members), read_at.astype(np.int64)


def _here(past: Past) -> CommunityPast:
    posts = past.posts
    times = posts.created_at, posts.matured_at
    readings = past.subscribers, past.subscribers_seen_at
    return CommunityPast(posts.post_ids, posts.authors, *times, posts.log_score, *readings)


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    asked = subjects.asked
    now = moments_of(asked.created_at)
    return subjects.past.kept(_here).features(now, asked.subscribers, asked.subscribers_seen_at)


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

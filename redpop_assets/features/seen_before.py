"""Whether a picture was posted before, in whatever community, and how it did then.

A repost is no offence but information: the picture has had a score already. Duplicate groups say which posts show one
picture. Scores of different communities are compared as percentiles: the place of a score among those of its own
community that were mature when it was, so that a percentile, once known, never moves. The later of two scores of one
picture is only weakly like the earlier one, and one earlier score says little, so means are shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.past import (
    Doubles,
    History,
    Ints,
    Moments,
    Ordered,
    Posts,
    checked_posts,
    codes,
    days_since,
    pair_codes,
    ratio,
)

CODE_VERSION: Final = "1"
"""Raise it whenever a picture would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "seen_before",
    "times_here",
    "times_elsewhere",
    "by_same_author",
    "days_since_first",
    "days_since_last",
    "days_since_last_here",
    "times_mature",
    "has_mature_score",
    "best_percentile",
    "mean_percentile",
    "has_mature_score_here",
    "best_log_score_here",
    "mean_log_score_here",
)
"""Order of the columns of `seen_before_features`; all are scalars."""

SHRINKAGE: Final = 1.0
"""Weight of what is usual in the means: after that many mature scores of the picture they count for half."""

LONGEST_ABSENCE_DAYS: Final = 3650.0
"""Cap of the days since the picture was posted, and their value where it never was: ten years."""

_USUAL_PERCENTILE = 0.5


def seen_before_features(
    post_ids: Sequence[str],
    subreddits: Sequence[str],
    authors: Sequence[str | None],
    groups: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    *,
    shrinkage: float = SHRINKAGE,
) -> dict[str, npt.NDArray[np.float32]]:
    """Describe the past of the picture of each post, over all communities at once. Takes O(n log n).

    A post sees only posts of strictly earlier seconds, and their scores only once they were mature; rows never change
    when later posts, or scores that had not matured, are added or altered, and do not depend on the order of the input.
    Which posts show one picture is taken as given, however that became known.

    Args:
        post_ids: n ids of the posts of all communities.
        subreddits: n names.
        authors: n keyed hashes, None where the author is unknown.
        groups: n duplicate groups; None for a post whose picture is that of no other.
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: creation plus label age and label window, as in `author_features`.
        log_score: (n,) labels, of each community all on one score scale; NaN for posts without one.
        shrinkage: k >= 0 in (sum of the picture's mature values + k * usual value) / (number of them + k).

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `seen_before` (0 or 1); `times_here`, `times_elsewhere`: earlier posts of the picture in the post's own
          community and in others; `by_same_author` (0 or 1): one of them is by the author of the post;
        * `days_since_first`, `days_since_last`, `days_since_last_here`: days since the earliest and the latest of them,
          and the latest here, at most `LONGEST_ABSENCE_DAYS`, which also stands for "never";
        * `times_mature`: how many of them had a mature score, `has_mature_score` (0 or 1);
        * `best_percentile`, `mean_percentile`: the highest of their percentiles (0 to 1) and the mean, shrunk to 0.5;
          0.5 without a mature score. The percentile of a post is the mid-rank of its score among the scores of its
          community that were mature at its own maturity, itself included;
        * `has_mature_score_here` (0 or 1): one of them here had a mature score; `best_log_score_here`,
          `mean_log_score_here`: the highest and the mean, shrunk to the mean of all mature scores here, which they
          are without one (0 where there is none at all).

    Raises:
        ValueError: lengths differ, a time is missing, a score is no log score, a post matures before it is created, or
            shrinkage is negative.
    """
    posts = checked_posts(post_ids, created_at, matured_at, log_score)
    if not len(subreddits) == len(authors) == len(groups) == len(posts.created):
        raise ValueError("subreddits, authors and groups must have one entry per post")
    if shrinkage < 0:
        raise ValueError(f"shrinkage must not be negative, and is {shrinkage}")
    (subreddit,), (author,), (picture,) = codes(subreddits), codes(authors), codes(groups)
    picture_here = pair_codes(picture, subreddit)
    features = {
        **_sightings(posts, picture, picture_here, pair_codes(picture, author)),
        **_percentiles(posts, subreddit, picture, shrinkage),
        **_scores_here(posts, subreddit, picture_here, shrinkage),
    }
    return {name: np.asarray(features[name], dtype=np.float32) for name in COLUMNS}


def _sightings(
    posts: Posts, picture: Ints, picture_here: Ints, picture_by_author: Ints
) -> dict[str, npt.NDArray[np.generic]]:
    """Where and when the picture was posted."""
    now = posts.created

    def earlier(owner: Ints) -> tuple[Ints, Ints, Ints]:
        """Number of earlier posts, and times of the first and the last of them."""
        made = History(owner, now + 1, posts.rank)
        start, end = made.begin(owner), made.until(owner, now)
        times = np.append(now[made.order], 0)
        return end - start, times[start], times[end - 1]

    anywhere, first, last = earlier(picture)
    here, _, last_here = earlier(picture_here)
    return {
        "seen_before": anywhere > 0,
        "times_here": here,
        "times_elsewhere": anywhere - here,
        "by_same_author": earlier(picture_by_author)[0] > 0,
        "days_since_first": days_since(now, first, anywhere > 0, LONGEST_ABSENCE_DAYS),
        "days_since_last": days_since(now, last, anywhere > 0, LONGEST_ABSENCE_DAYS),
        "days_since_last_here": days_since(now, last_here, here > 0, LONGEST_ABSENCE_DAYS),
    }


def _percentiles(posts: Posts, subreddit: Ints, picture: Ints, shrinkage: float) -> dict[str, npt.NDArray[np.generic]]:
    """How the picture did, each time in its community."""
    percentile = _percentile_at_maturity(posts, subreddit)
    number, best, total = _mature(posts, picture, percentile)
    usual = np.full(len(number), _USUAL_PERCENTILE)
    return {
        "times_mature": number,
        "has_mature_score": number > 0,
        "best_percentile": np.where(number > 0, best, usual),
        "mean_percentile": ratio(total + shrinkage * usual, number + shrinkage, usual),
    }


def _scores_here(
    posts: Posts, subreddit: Ints, picture_here: Ints, shrinkage: float
) -> dict[str, npt.NDArray[np.generic]]:
    """How the picture did in this community."""
    number, best, total = _mature(posts, picture_here, posts.scores)
    mature = History(np.where(posts.labelled, subreddit, -1), posts.visible_from, posts.rank)
    usual = Moments.of(mature, posts.scores).mean(mature.begin(subreddit), mature.until(subreddit, posts.created))
    return {
        "has_mature_score_here": number > 0,
        "best_log_score_here": np.where(number > 0, best, usual),
        "mean_log_score_here": ratio(total + shrinkage * usual, number + shrinkage, usual),
    }


def _mature(posts: Posts, owner: Ints, values: Doubles) -> tuple[Ints, Doubles, Doubles]:
    """Number, highest and sum of the values of the owner's posts whose score was mature."""
    mature = History(np.where(posts.labelled, owner, -1), posts.visible_from, posts.rank)
    start, end = mature.begin(owner), mature.until(owner, posts.created)
    levels, place = np.unique(values, return_inverse=True)
    best = np.append(levels[mature.running_max(place)], 0.0)[end - 1]
    return end - start, best, Moments.of(mature, values).total(start, end)


def _percentile_at_maturity(posts: Posts, subreddit: Ints) -> Doubles:
    """Mid-rank of each score among those of its community that are visible from the same moment on or earlier.

    Returns:
        (n,) from 0 to 1, NaN for posts without a score.
    """
    labelled = posts.labelled
    mature = History(np.where(labelled, subreddit, -1), posts.visible_from, posts.rank)
    place = np.unique(posts.scores, return_inverse=True)[1].astype(np.int64)
    ordered = Ordered(place[mature.order])
    start, end = mature.begin(subreddit), mature.until(subreddit, posts.visible_from)
    ranked = (ordered.below(start, end, place) + ordered.below(start, end, place + 1)) / 2.0
    return np.where(labelled, ratio(ranked, end - start), np.nan)


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    timeline = subjects.timeline
    everybody = timeline.everybody
    features = seen_before_features(
        everybody.post_ids,
        everybody.subreddits,
        everybody.authors,
        everybody.groups,
        everybody.created_at,
        everybody.matured_at,
        everybody.log_score,
    )
    here = everybody.of(timeline.subreddit)
    return timeline.of_due({name: values[here] for name, values in features.items()})


FAMILY: Final = Family(
    "seen",
    "features.seen_before",
    "post",
    CODE_VERSION,
    _of_posts,
    made_from=("core.labels", "core.duplicates"),
    past="everybody",
    content={"picture": ""},
)

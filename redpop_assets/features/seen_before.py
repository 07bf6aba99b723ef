"""Whether a picture was posted before, in whatever community, and how it did then.

A repost is no offence but information: the picture has had a score already. Duplicate groups say which posts show one
picture. Scores of different communities are compared as percentiles: the place of a score among those of its own
community that were mature when it was, so that a percentile, once known, never moves. The later of two scores of one
picture is only weakly like the earlier one, and one earlier score says little, so means are shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.past import (
    Doubles,
    History,
    Ints,
    Moments,
    Names,
    Ordered,
    Posts,
    checked_posts,
    days_since,
    moments_of,
    ratio,
)

if TYPE_CHECKING:
    from redpop_assets.storage.history import History as Stored

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
    past = PicturePast(post_ids, subreddits, authors, groups, created_at, matured_at, log_score)
    return past.features(subreddits, authors, groups, moments_of(created_at), shrinkage=shrinkage)


class PicturePast:
    """The posts of all communities, prepared for questions about pictures. Arguments as of `seen_before_features`."""

    def __init__(
        self,
        post_ids: Sequence[str],
        subreddits: Sequence[str],
        authors: Sequence[str | None],
        groups: Sequence[str | None],
        created_at: npt.NDArray[np.datetime64],
        matured_at: npt.NDArray[np.datetime64],
        log_score: npt.NDArray[np.floating],
    ) -> None:
        posts = checked_posts(post_ids, created_at, matured_at, log_score)
        if not len(subreddits) == len(authors) == len(groups) == len(posts.created):
            raise ValueError("subreddits, authors and groups must have one entry per post")
        self._subreddits, self._authors, self._pictures = Names(subreddits), Names(authors), Names(groups)
        picture, here, by_author = self._owners(subreddits, authors, groups)
        subreddit = self._subreddits.codes(subreddits)
        self._made, self._made_here, self._made_by = (_Made(posts, owner) for owner in (picture, here, by_author))
        self._percentiles = _Mature(posts, picture, _percentile_at_maturity(posts, subreddit))
        self._scores_here = _Mature(posts, here, posts.scores)
        self._usual = _Mature(posts, subreddit, posts.scores)

    def features(
        self,
        subreddits: Sequence[str],
        authors: Sequence[str | None],
        groups: Sequence[str | None],
        now: Ints,
        *,
        shrinkage: float = SHRINKAGE,
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The columns of `COLUMNS` of m posts, made at these moments (epoch seconds)."""
        if shrinkage < 0:
            raise ValueError(f"shrinkage must not be negative, and is {shrinkage}")
        picture, here, by_author = self._owners(subreddits, authors, groups)
        features = {
            **self._sightings(picture, here, by_author, now),
            **self._by_percentile(picture, now, shrinkage),
            **self._by_score_here(self._subreddits.codes(subreddits), here, now, shrinkage),
        }
        return {name: np.asarray(features[name], dtype=np.float32) for name in COLUMNS}

    def _owners(
        self, subreddits: Sequence[str], authors: Sequence[str | None], groups: Sequence[str | None]
    ) -> tuple[Ints, Ints, Ints]:
        """Codes of pictures, of pictures in a community, and of pictures by an author."""
        picture = self._pictures.codes(groups)
        return picture, self._subreddits.pairs(picture, subreddits), self._authors.pairs(picture, authors)

    def _sightings(self, picture: Ints, here: Ints, by_author: Ints, now: Ints) -> dict[str, npt.NDArray[np.generic]]:
        """Where and when the picture was posted."""
        anywhere, first, last = self._made.before(picture, now)
        times_here, _, last_here = self._made_here.before(here, now)
        return {
            "seen_before": anywhere > 0,
            "times_here": times_here,
            "times_elsewhere": anywhere - times_here,
            "by_same_author": self._made_by.before(by_author, now)[0] > 0,
            "days_since_first": days_since(now, first, anywhere > 0, LONGEST_ABSENCE_DAYS),
            "days_since_last": days_since(now, last, anywhere > 0, LONGEST_ABSENCE_DAYS),
            "days_since_last_here": days_since(now, last_here, times_here > 0, LONGEST_ABSENCE_DAYS),
        }

    def _by_percentile(self, picture: Ints, now: Ints, shrinkage: float) -> dict[str, npt.NDArray[np.generic]]:
        """How the picture did, each time in its community."""
        number, best, total = self._percentiles.known(picture, now)
        usual = np.full(len(number), _USUAL_PERCENTILE)
        return {
            "times_mature": number,
            "has_mature_score": number > 0,
            "best_percentile": np.where(number > 0, best, usual),
            "mean_percentile": ratio(total + shrinkage * usual, number + shrinkage, usual),
        }

    def _by_score_here(
        self, subreddit: Ints, here: Ints, now: Ints, shrinkage: float
    ) -> dict[str, npt.NDArray[np.generic]]:
        """How the picture did in this community."""
        number, best, total = self._scores_here.known(here, now)
        number_usual, _, total_usual = self._usual.known(subreddit, now)
        usual = ratio(total_usual, number_usual)
        return {
            "has_mature_score_here": number > 0,
            "best_log_score_here": np.where(number > 0, best, usual),
            "mean_log_score_here": ratio(total + shrinkage * usual, number + shrinkage, usual),
        }


class _Made:
    """When owners were posted."""

    def __init__(self, posts: Posts, owner: Ints) -> None:
        self._history = History(owner, posts.created + 1, posts.rank)
        self._times = np.append(posts.created[self._history.order], 0)

    def before(self, owner: Ints, now: Ints) -> tuple[Ints, Ints, Ints]:
        """Number of posts before these moments, and times of the first and the last of them."""
        start, end = self._history.begin(owner), self._history.until(owner, now)
        return end - start, self._times[start], self._times[end - 1]


class _Mature:
    """Values of the owners' posts, from the maturity of their scores on."""

    def __init__(self, posts: Posts, owner: Ints, values: Doubles) -> None:
        self._history = History(np.where(posts.labelled, owner, -1), posts.visible_from, posts.rank)
        levels, place = np.unique(values, return_inverse=True)
        self._best = np.append(levels[self._history.running_max(place)], 0.0)
        self._moments = Moments.of(self._history, values)

    def known(self, owner: Ints, now: Ints) -> tuple[Ints, Doubles, Doubles]:
        """Number, highest and sum of the values that are known at these moments."""
        start, end = self._history.begin(owner), self._history.until(owner, now)
        return end - start, self._best[end - 1], self._moments.total(start, end)


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


def _everywhere(posts: Stored) -> PicturePast:
    names = posts.subreddits, posts.authors, posts.groups
    return PicturePast(posts.post_ids, *names, posts.created_at, posts.matured_at, posts.log_score)


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    past, asked = subjects.past, subjects.asked
    subreddits = [past.subreddit] * len(asked)
    pictures = past.everybody.kept(_everywhere)
    return pictures.features(subreddits, asked.authors, asked.groups, moments_of(asked.created_at))


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

"""What was known, at the moment of a post, about its author and about the traffic of its subreddit.

Author aggregates are where popularity models leak: a mean that includes the post's own score, or scores that were still
moving when the post was made, predicts well and means nothing. So everything here is a walk through time: a post sees
what was there before it.

The template is the author block of Hessel, Lee & Mimno 2017 ("Cats and Captions vs. Creators and the Clock"): nineteen
numbers from the history of a user before the post. From posts alone come seven of them: earlier posts, log hours since
the first and since the last, shares of past scores of at least 5, 10, 50 and 100. Length and type-token ratio, there
of comments, are taken of captions here. Ten cannot be had, because comments are not collected: earlier comments, the
share of posts among posts and comments, depth in the thread, share of threads that the user came back to, share of
comments with an answer, median time to an answer, and the four shares of comment scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Past, Subjects
from redpop_assets.features.past import (
    SECONDS_PER_DAY,
    Doubles,
    Flags,
    History,
    Ints,
    Moments,
    Names,
    Posts,
    checked_posts,
    days_since,
    fixed,
    floating,
    moments_of,
    prefix,
    ratio,
)

if TYPE_CHECKING:
    from redpop_assets.storage.history import History as Stored

CODE_VERSION: Final = "2"
"""Raise it whenever a history would get other numbers than before."""

SCORE_STEPS: Final = (5, 10, 50, 100)
"""Scores (points) whose shares are taken, as Hessel et al. do."""

COLUMNS: Final[tuple[str, ...]] = (
    "author_known",
    "past_posts",
    "past_mature_posts",
    "is_cold_start",
    "past_mean_log_score",
    "past_best_log_score",
    "days_since_last_post",
    "subreddit_has_history",
    "subreddit_past_mean_log_score",
    "subreddit_posts_last_24h",
    "log_hours_since_first_post",
    "log_hours_since_last_post",
    "posts_per_day",
    "past_last_log_score",
    "past_best_shrunk_log_score",
    "past_sd_log_score",
    *(f"past_share_score_{step}" for step in SCORE_STEPS),
    "past_caption_words",
    "past_caption_type_token_ratio",
    "past_posts_anywhere",
    "past_communities",
    "share_of_posts_here",
)
"""Order of the columns of `author_features`; all are scalars."""

SHRINKAGE: Final = 5.0
"""Weight of the subreddit's past in the author columns: after so many mature posts the author is half of it."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True)
class Activity:
    """Who posted where and when, in all communities: m posts, in any order.

    Args:
        authors: m keyed hashes, of the same key as those of the posts to describe; None where unknown.
        subreddits: m names.
        created_at: (m,) datetime64, UTC.
    """

    authors: Sequence[str | None]
    subreddits: Sequence[str]
    created_at: npt.NDArray[np.datetime64]


def author_features(
    post_ids: Sequence[str],
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    *,
    captions: Sequence[str] | None = None,
    activity: Activity | None = None,
    shrinkage: float = SHRINKAGE,
) -> dict[str, npt.NDArray[np.float32]]:
    """Describe each post by its past: that of its author, and that of the subreddit. Takes O(n log n).

    A post p sees post q only if q was created in an earlier second, and q's score only if, besides, `matured_at` of q
    is not later than the creation of p. Posts of the same second see nothing of each other. Rows therefore never change
    when later posts, or scores that had not matured, are added or altered, and do not depend on the order of the input.

    "Shrunk" below means: (n * value of the author + k * value of the subreddit) / (n + k), where n counts what the
    author's value was made of, k is `shrinkage`, and the value of the subreddit is that of its past, 0 without one.

    Args:
        post_ids: n ids of the posts of one subreddit.
        authors: n keyed hashes, None where the author is unknown; such posts count for the subreddit but share no
            history.
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: the earliest moment the label was final, which is the creation plus
            label age and label window. Not the time the label was read, which for archives is months later.
        log_score: (n,) labels, all on one score scale; NaN for posts without one (they still count as posts).
        captions: n titles; None leaves the columns about captions 0.
        activity: posts of all communities, for the last three columns; None knows of no other community.
        shrinkage: k >= 0.

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `author_known` (0 or 1);
        * `past_posts`, `past_mature_posts`: earlier posts of the author here, and those of them with a mature score;
        * `is_cold_start` (0 or 1): no mature score of the author is known; then mean, best and last are the mean of
          the subreddit's past, and spread and shares are those of the subreddit's past;
        * `past_mean_log_score`: mean of the author's mature log scores, shrunk; `past_best_log_score`: the highest of
          them, as it is;
        * `days_since_last_post` of the author here, capped at `past.LONGEST_PAUSE_DAYS`, which also stands for "never";
        * `subreddit_has_history` (0 or 1): some score in the subreddit was mature; `subreddit_past_mean_log_score`:
          their mean, 0 where there is none;
        * `subreddit_posts_last_24h`: posts created in the 24 hours before, the current second excluded;
        * `log_hours_since_first_post`: ln(1 + hours since the author's first post here), 0 where there is none;
          `log_hours_since_last_post`: likewise, with the cap and the meaning of `days_since_last_post`;
        * `posts_per_day`: earlier posts here per day since the first, where the first day counts as a whole;
        * `past_last_log_score`, `past_best_shrunk_log_score`: the mature log score of the author that belongs to the
          latest post, and the highest, both shrunk with n mature posts;
        * `past_sd_log_score`: square root of the variance of the author's mature log scores (n - 1 degrees of
          freedom), shrunk with n - 1 to that of the subreddit;
        * `past_share_score_*`: share of the author's mature posts with at least so many points, shrunk;
        * `past_caption_words`, `past_caption_type_token_ratio`: mean number of words of the author's earlier captions
          here, and mean share of different ones among them (captions without words left out), shrunk; a word is a run
          of letters and digits, upper and lower case alike;
        * `past_posts_anywhere`, `past_communities`: earlier posts of the author in all communities, and number of
          these communities; `share_of_posts_here`: `past_posts` by `past_posts_anywhere`, 0 without one.

    Raises:
        ValueError: lengths differ, a time is missing, a score is no log score, a post matures before it is created, or
            shrinkage is negative.
    """
    here = AuthorPast(post_ids, authors, created_at, matured_at, log_score, captions)
    elsewhere = Elsewhere(Activity(authors, [""] * len(authors), created_at) if activity is None else activity)
    return here.features(authors, moments_of(created_at), elsewhere, shrinkage=shrinkage)


class AuthorPast:
    """The posts of a subreddit, prepared for questions about authors. Arguments are those of `author_features`."""

    def __init__(
        self,
        post_ids: Sequence[str],
        authors: Sequence[str | None],
        created_at: npt.NDArray[np.datetime64],
        matured_at: npt.NDArray[np.datetime64],
        log_score: npt.NDArray[np.floating],
        captions: Sequence[str] | None = None,
    ) -> None:
        posts = checked_posts(post_ids, created_at, matured_at, log_score)
        if len(authors) != len(posts.created) or (captions is not None and len(captions) != len(posts.created)):
            raise ValueError("authors and captions must have one entry per post")
        self._names = Names(authors)
        author = self._names.codes(authors)
        everyone = np.zeros_like(author)
        self._made = History(author, posts.created + 1, posts.rank)
        self._made_at = np.append(posts.created[self._made.order], 0)
        self._made_here = History(everyone, posts.created + 1, posts.rank)
        self._own, self._ours = _Mature(posts, author), _Mature(posts, everyone)
        self._written = {} if captions is None else _written(posts, author, everyone, captions)

    def features(
        self, authors: Sequence[str | None], now: Ints, elsewhere: Elsewhere, *, shrinkage: float = SHRINKAGE
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The columns of `COLUMNS` of m posts by these authors, made at these moments (epoch seconds)."""
        if shrinkage < 0:
            raise ValueError(f"shrinkage must not be negative, and is {shrinkage}")
        author = self._names.codes(authors)
        everyone = np.zeros_like(author)
        last_day = self._made_here.until(everyone, now) - self._made_here.until(everyone, now - SECONDS_PER_DAY)
        features = {
            "author_known": author >= 0,
            **self._pauses(author, now),
            **self._scores(author, everyone, now, shrinkage),
            "subreddit_posts_last_24h": last_day,
            **self._captions(author, everyone, now, shrinkage),
            **elsewhere.features(authors, now),
        }
        features["share_of_posts_here"] = ratio(
            features["past_posts"], np.maximum(features["past_posts"], features["past_posts_anywhere"])
        )
        return {name: np.asarray(features[name], dtype=np.float32) for name in COLUMNS}

    def _pauses(self, author: Ints, now: Ints) -> dict[str, npt.NDArray[np.generic]]:
        """How many posts the author made here, and when."""
        start, end = self._made.begin(author), self._made.until(author, now)
        any_post = end > start
        first_day = (now - self._made_at[start]) / SECONDS_PER_DAY
        since_last = days_since(now, self._made_at[end - 1], any_post)
        return {
            "past_posts": end - start,
            "days_since_last_post": since_last,
            "log_hours_since_first_post": np.log1p(24 * np.where(any_post, first_day, 0.0)),
            "log_hours_since_last_post": np.log1p(24 * since_last),
            "posts_per_day": np.where(any_post, (end - start) / np.maximum(first_day, 1.0), 0.0),
        }

    def _scores(self, author: Ints, everyone: Ints, now: Ints, shrinkage: float) -> dict[str, npt.NDArray[np.generic]]:
        """What the mature scores of the author say, beside those of the subreddit."""
        own, ours = self._own, self._ours
        start, end = own.known(author, now)
        start_here, end_here = ours.known(everyone, now)
        number, number_here = end - start, end_here - start_here
        mean_here = ours.moments.mean(start_here, end_here)
        variance_here = ratio(ours.moments.scatter(start_here, end_here), number_here)

        def shrunk(total: Doubles, of_subreddit: Doubles) -> Doubles:
            blend = ratio(total + shrinkage * of_subreddit, number + shrinkage, of_subreddit)
            return np.where(number > 0, blend, of_subreddit)

        best, last = own.best[end - 1], own.last[end - 1]
        degrees = np.maximum(number - 1, 0)
        scatter = own.moments.scatter(start, end)
        variance = ratio(scatter + shrinkage * variance_here, degrees + shrinkage, variance_here)
        features: dict[str, npt.NDArray[np.generic]] = {
            "past_mature_posts": number,
            "is_cold_start": number == 0,
            "past_mean_log_score": shrunk(own.moments.total(start, end), mean_here),
            "past_best_log_score": np.where(number > 0, best, mean_here),
            "subreddit_has_history": number_here > 0,
            "subreddit_past_mean_log_score": mean_here,
            "past_last_log_score": shrunk(number * last, mean_here),
            "past_best_shrunk_log_score": shrunk(number * best, mean_here),
            "past_sd_log_score": np.sqrt(variance),
        }
        for step in SCORE_STEPS:
            hits, hits_here = own.reached[step], ours.reached[step]
            share_here = ratio(hits_here[end_here] - hits_here[start_here], number_here)
            features[f"past_share_score_{step}"] = shrunk((hits[end] - hits[start]).astype(np.float64), share_here)
        return features

    def _captions(
        self, author: Ints, everyone: Ints, now: Ints, shrinkage: float
    ) -> dict[str, npt.NDArray[np.generic]]:
        """How the author wrote so far."""
        features: dict[str, npt.NDArray[np.generic]] = {
            name: np.zeros(len(author)) for name in ("past_caption_words", "past_caption_type_token_ratio")
        }
        for name, (of_author, of_everyone) in self._written.items():
            total, number = of_author.until(author, now)
            total_here, number_here = of_everyone.until(everyone, now)
            mean_here = ratio(total_here, number_here)
            features[name] = ratio(total + shrinkage * mean_here, number + shrinkage, mean_here)
        return features


class _Mature:
    """The mature scores of owners: authors, or everyone."""

    def __init__(self, posts: Posts, owner: Ints) -> None:
        scores = posts.scores
        self._history = History(np.where(posts.labelled, owner, -1), posts.visible_from, posts.rank)
        self.moments = Moments.of(self._history, scores)
        # Floats are compared by their places among all: what is found is a score and no rounding of one.
        values, place = np.unique(scores, return_inverse=True)
        self.best: Doubles = np.append(values[self._history.running_max(place)], 0.0)
        by_rank = np.empty_like(scores)
        by_rank[posts.rank] = scores
        self.last: Doubles = np.append(by_rank[self._history.running_max(posts.rank)], 0.0)
        # Scores are whole points: half a point below the step leaves no room for the rounding of the logarithm.
        self.reached = {
            step: prefix((scores > np.log1p(step - 0.5)).astype(np.int64)[self._history.order]) for step in SCORE_STEPS
        }

    def known(self, owner: Ints, now: Ints) -> tuple[Ints, Ints]:
        """Stretches of what is known of the owners at these moments."""
        return self._history.begin(owner), self._history.until(owner, now)


class _Sums:
    """Sums of numbers in fixed point over the earlier posts of owners."""

    def __init__(self, posts: Posts, owner: Ints, values: Ints) -> None:
        self._history = History(owner, posts.created + 1, posts.rank)
        self._totals = prefix(values[self._history.order])

    def until(self, owner: Ints, now: Ints) -> tuple[Doubles, Ints]:
        """Sums over the posts before these moments, and the numbers of these posts."""
        start, end = self._history.begin(owner), self._history.until(owner, now)
        return floating(self._totals[end] - self._totals[start]), end - start


def _written(posts: Posts, author: Ints, everyone: Ints, captions: Sequence[str]) -> dict[str, tuple[_Sums, _Sums]]:
    """Words and different words of captions, by author and of everyone."""
    words_of = [_WORD.findall(caption.casefold()) for caption in captions]
    words = np.asarray([len(words) for words in words_of], dtype=np.int64)
    different = np.asarray([len(set(words)) for words in words_of], dtype=np.int64)

    def sums(values: Ints, counted: Flags) -> tuple[_Sums, _Sums]:
        of_author, of_everyone = (_Sums(posts, np.where(counted, owner, -1), values) for owner in (author, everyone))
        return of_author, of_everyone

    return {
        "past_caption_words": sums(fixed(words), np.ones(len(words), dtype=np.bool_)),
        "past_caption_type_token_ratio": sums(fixed(ratio(different, words)), words > 0),
    }


class Elsewhere:
    """The posts of all communities, prepared for questions about authors."""

    def __init__(self, activity: Activity) -> None:
        times = np.asarray(activity.created_at, dtype="datetime64[s]")
        if not len(activity.authors) == len(activity.subreddits) == len(times):
            raise ValueError("authors, subreddits and created_at of the activity must have one entry per post")
        if np.isnat(times).any():
            raise ValueError("created_at of the activity has missing times")
        self._names, communities = Names(activity.authors), Names(activity.subreddits)
        actor = self._names.codes(activity.authors)
        known_from = times.astype(np.int64) + 1
        place = communities.pairs(actor, activity.subreddits)
        order = np.lexsort((known_from, place))
        first = order[np.unique(place[order], return_index=True)[1]]
        self._seen = {
            name: History(actor[events], known_from[events], np.zeros_like(events))
            for name, events in (("past_posts_anywhere", np.arange(len(actor))), ("past_communities", first))
        }

    def features(self, authors: Sequence[str | None], now: Ints) -> dict[str, npt.NDArray[np.generic]]:
        """How much the authors had posted anywhere, and in how many communities."""
        author = self._names.codes(authors)
        return {name: seen.until(author, now) - seen.begin(author) for name, seen in self._seen.items()}


def _here(past: Past) -> AuthorPast:
    posts = past.posts
    return AuthorPast(
        posts.post_ids, posts.authors, posts.created_at, posts.matured_at, posts.log_score, posts.captions
    )


def _elsewhere(everybody: Stored) -> Elsewhere:
    return Elsewhere(Activity(everybody.authors, everybody.subreddits, everybody.created_at))


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    past, asked = subjects.past, subjects.asked
    elsewhere = past.everybody.kept(_elsewhere)
    return past.kept(_here).features(asked.authors, moments_of(asked.created_at), elsewhere)


FAMILY: Final = Family(
    "author",
    "features.author_features",
    "post",
    CODE_VERSION,
    _of_posts,
    made_from=("core.labels",),
    past="everybody",
)

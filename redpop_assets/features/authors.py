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
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.past import (
    SECONDS_PER_DAY,
    Doubles,
    History,
    Ints,
    Moments,
    Posts,
    checked_posts,
    codes,
    days_since,
    fixed,
    floating,
    pair_codes,
    prefix,
    ratio,
)

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
    posts = checked_posts(post_ids, created_at, matured_at, log_score)
    if len(authors) != len(posts.created) or (captions is not None and len(captions) != len(posts.created)):
        raise ValueError("authors and captions must have one entry per post")
    if shrinkage < 0:
        raise ValueError(f"shrinkage must not be negative, and is {shrinkage}")
    if activity is None:
        activity = Activity(authors, [""] * len(authors), created_at)
    author, actor = codes(authors, activity.authors)
    everyone = np.zeros_like(author)
    features = {
        "author_known": author >= 0,
        **_pauses(posts, author),
        **_scores(posts, author, everyone, shrinkage),
        "subreddit_posts_last_24h": _posts_within(posts, everyone, SECONDS_PER_DAY),
        **_captions(posts, author, everyone, captions, shrinkage),
        **_elsewhere(posts, author, actor, activity),
    }
    features["share_of_posts_here"] = ratio(
        features["past_posts"], np.maximum(features["past_posts"], features["past_posts_anywhere"])
    )
    return {name: np.asarray(features[name], dtype=np.float32) for name in COLUMNS}


def _pauses(posts: Posts, author: Ints) -> dict[str, npt.NDArray[np.generic]]:
    """How many posts the author made here, and when."""
    now = posts.created
    made = History(author, now + 1, posts.rank)
    start, end = made.begin(author), made.until(author, now)
    any_post = end > start
    times = np.append(now[made.order], 0)
    first_day = (now - times[start]) / SECONDS_PER_DAY
    since_last = days_since(now, times[end - 1], any_post)
    return {
        "past_posts": end - start,
        "days_since_last_post": since_last,
        "log_hours_since_first_post": np.log1p(24 * np.where(any_post, first_day, 0.0)),
        "log_hours_since_last_post": np.log1p(24 * since_last),
        "posts_per_day": np.where(any_post, (end - start) / np.maximum(first_day, 1.0), 0.0),
    }


def _scores(posts: Posts, author: Ints, everyone: Ints, shrinkage: float) -> dict[str, npt.NDArray[np.generic]]:
    """What the mature scores of the author say, beside those of the subreddit."""
    now, scores = posts.created, posts.scores
    mature = History(np.where(posts.labelled, author, -1), posts.visible_from, posts.rank)
    mature_here = History(np.where(posts.labelled, everyone, -1), posts.visible_from, posts.rank)
    start, end = mature.begin(author), mature.until(author, now)
    start_here, end_here = mature_here.begin(everyone), mature_here.until(everyone, now)
    number, number_here = end - start, end_here - start_here
    own, ours = Moments.of(mature, scores), Moments.of(mature_here, scores)
    mean_here = ours.mean(start_here, end_here)
    variance_here = ratio(ours.scatter(start_here, end_here), number_here)

    def shrunk(total: Doubles, of_subreddit: Doubles) -> Doubles:
        blend = ratio(total + shrinkage * of_subreddit, number + shrinkage, of_subreddit)
        return np.where(number > 0, blend, of_subreddit)

    # Floats are compared by their places among all of them, so that what is found is a score and no rounding of one.
    values, place = np.unique(scores, return_inverse=True)
    best = np.append(values[mature.running_max(place)], 0.0)[end - 1]
    by_rank = np.empty_like(scores)
    by_rank[posts.rank] = scores
    last = np.append(by_rank[mature.running_max(posts.rank)], 0.0)[end - 1]
    degrees = np.maximum(number - 1, 0)
    variance = ratio(own.scatter(start, end) + shrinkage * variance_here, degrees + shrinkage, variance_here)
    features: dict[str, npt.NDArray[np.generic]] = {
        "past_mature_posts": number,
        "is_cold_start": number == 0,
        "past_mean_log_score": shrunk(own.total(start, end), mean_here),
        "past_best_log_score": np.where(number > 0, best, mean_here),
        "subreddit_has_history": number_here > 0,
        "subreddit_past_mean_log_score": mean_here,
        "past_last_log_score": shrunk(number * last, mean_here),
        "past_best_shrunk_log_score": shrunk(number * best, mean_here),
        "past_sd_log_score": np.sqrt(variance),
    }
    for step in SCORE_STEPS:
        # Scores are whole points: half a point below the step leaves no room for the rounding of the logarithm.
        reached = (scores > np.log1p(step - 0.5)).astype(np.int64)
        hits, hits_here = prefix(reached[mature.order]), prefix(reached[mature_here.order])
        share_here = ratio(hits_here[end_here] - hits_here[start_here], number_here)
        features[f"past_share_score_{step}"] = shrunk((hits[end] - hits[start]).astype(np.float64), share_here)
    return features


def _captions(
    posts: Posts, author: Ints, everyone: Ints, captions: Sequence[str] | None, shrinkage: float
) -> dict[str, npt.NDArray[np.generic]]:
    """How the author wrote so far."""
    if captions is None:
        return dict.fromkeys(("past_caption_words", "past_caption_type_token_ratio"), np.zeros(len(author)))
    words_of = [_WORD.findall(caption.casefold()) for caption in captions]
    words = np.asarray([len(words) for words in words_of], dtype=np.int64)
    different = np.asarray([len(set(words)) for words in words_of], dtype=np.int64)
    features: dict[str, npt.NDArray[np.generic]] = {}
    for name, values, counted in (
        ("past_caption_words", fixed(words), np.ones(len(words), dtype=np.bool_)),
        ("past_caption_type_token_ratio", fixed(ratio(different, words)), words > 0),
    ):
        sums = []
        for owner in (author, everyone):
            written = History(np.where(counted, owner, -1), posts.created + 1, posts.rank)
            start, end = written.begin(owner), written.until(owner, posts.created)
            totals = prefix(values[written.order])
            sums.append((floating(totals[end] - totals[start]), end - start))
        (total, number), (total_here, number_here) = sums
        mean_here = ratio(total_here, number_here)
        features[name] = ratio(total + shrinkage * mean_here, number + shrinkage, mean_here)
    return features


def _elsewhere(posts: Posts, author: Ints, actor: Ints, activity: Activity) -> dict[str, npt.NDArray[np.generic]]:
    """How much the author posted anywhere, and in how many communities."""
    times = np.asarray(activity.created_at, dtype="datetime64[s]")
    if not len(actor) == len(activity.subreddits) == len(times):
        raise ValueError("authors, subreddits and created_at of the activity must have one entry per post")
    if np.isnat(times).any():
        raise ValueError("created_at of the activity has missing times")
    known_from = times.astype(np.int64) + 1
    (subreddit,) = codes(activity.subreddits)
    place = pair_codes(actor, subreddit)
    order = np.lexsort((known_from, place))
    first = order[np.unique(place[order], return_index=True)[1]]
    features: dict[str, npt.NDArray[np.generic]] = {}
    for name, events in (("past_posts_anywhere", np.arange(len(actor))), ("past_communities", first)):
        seen = History(actor[events], known_from[events], np.zeros_like(events))
        features[name] = seen.until(author, posts.created) - seen.begin(author)
    return features


def _posts_within(posts: Posts, everyone: Ints, seconds: int) -> Ints:
    """Posts created in the `seconds` before each post: from then, inclusive, to its own second, exclusive."""
    made = History(everyone, posts.created + 1, posts.rank)
    return made.until(everyone, posts.created) - made.until(everyone, posts.created - seconds)


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    timeline = subjects.timeline
    everybody, posts = timeline.everybody, timeline.here
    return timeline.of_due(
        author_features(
            posts.post_ids,
            posts.authors,
            posts.created_at,
            posts.matured_at,
            posts.log_score,
            captions=posts.captions,
            activity=Activity(everybody.authors, everybody.subreddits, everybody.created_at),
        )
    )


FAMILY: Final = Family(
    "author",
    "features.author_features",
    "post",
    CODE_VERSION,
    _of_posts,
    made_from=("core.labels",),
    past="everybody",
)

"""What was known, at the moment of a post, about its author and about the traffic of its subreddit.

Author aggregates are where popularity models leak: a mean that includes the post's own score, or scores that were still
moving when the post was made, predicts well and means nothing. So everything here is a walk through time: a post sees
what was there before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

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
)
"""Order of the columns of `author_features`; all are scalars."""

SHRINKAGE: Final = 5.0
"""Weight of the subreddit's past mean in an author's mean: after that many mature posts the author counts for half."""

LONGEST_PAUSE_DAYS: Final = 365.0
"""Cap of `days_since_last_post`, and its value for authors without an earlier post."""


@dataclass(slots=True)
class _Author:
    posts: int = 0
    last_post: int = 0
    mature_posts: int = 0
    sum_log_score: float = 0.0
    best_log_score: float = -np.inf


def author_features(
    post_ids: Sequence[str],
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    *,
    shrinkage: float = SHRINKAGE,
) -> dict[str, npt.NDArray[np.float32]]:
    """Describe each post by its past: that of its author, and that of the subreddit. Takes O(n log n).

    A post p sees post q only if q was created in an earlier second, and q's score only if, besides, `matured_at` of q
    is not later than the creation of p. Posts of the same second see nothing of each other. Rows therefore never change
    when later posts, or scores that had not matured, are added or altered, and do not depend on the order of the input.

    Args:
        post_ids: n ids of the posts of one subreddit.
        authors: n keyed hashes, None where the author is unknown; such posts count for the subreddit but share no
            history.
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: the earliest moment the label was final, which is the creation plus
            label age and label window. Not the time the label was read, which for archives is months later.
        log_score: (n,) labels, all on one score scale; NaN for posts without one (they still count as posts).
        shrinkage: k >= 0 in (sum of the author's mature log scores + k * m) / (number of them + k), where m is the
            subreddit's past mean.

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `author_known` (0 or 1);
        * `past_posts`, `past_mature_posts`: earlier posts of the author here, and those of them with a mature score;
        * `is_cold_start` (0 or 1): no mature score of the author is known; then the mean and the best are those of the
          subreddit's past;
        * `past_mean_log_score`: mean of the author's mature log scores, shrunk as above; `past_best_log_score`: the
          highest of them;
        * `days_since_last_post` of the author here, capped at `LONGEST_PAUSE_DAYS`, which also stands for "never";
        * `subreddit_has_history` (0 or 1): some score in the subreddit was mature; `subreddit_past_mean_log_score`:
          their mean, 0 where there is none;
        * `subreddit_posts_last_24h`: posts created in the 24 hours before, the current second excluded.

    Raises:
        ValueError: lengths differ, a time is missing, a score is infinite, a post matures before it is created, or
            shrinkage is negative.
    """
    created, matured, scores = _checked(post_ids, authors, created_at, matured_at, log_score, shrinkage)
    # A score is visible from its maturity on, and never within the second of its own creation.
    visible_from = np.maximum(matured, created + 1)
    order = sorted(range(len(post_ids)), key=lambda row: (created[row], post_ids[row]))
    labelled = [row for row in range(len(post_ids)) if not np.isnan(scores[row])]
    maturing = sorted(labelled, key=lambda row: (visible_from[row], created[row], post_ids[row]))

    history: dict[str, _Author] = {}
    subreddit_sum, subreddit_count, matured_until = 0.0, 0, 0
    table = np.zeros((len(post_ids), len(COLUMNS)), dtype=np.float32)
    start = 0
    while start < len(order):
        now = int(created[order[start]])
        end = start
        while end < len(order) and created[order[end]] == now:
            end += 1

        while matured_until < len(maturing) and visible_from[maturing[matured_until]] <= now:
            row = maturing[matured_until]
            score = float(scores[row])
            subreddit_sum += score
            subreddit_count += 1
            name = authors[row]
            if name is not None:
                author = history[name]
                author.mature_posts += 1
                author.sum_log_score += score
                author.best_log_score = max(author.best_log_score, score)
            matured_until += 1

        subreddit_mean = subreddit_sum / subreddit_count if subreddit_count else 0.0
        for row in order[start:end]:
            name = authors[row]
            past = history.get(name) if name is not None else None
            past = past or _Author()
            weight = past.mature_posts + shrinkage
            table[row] = (
                name is not None,
                past.posts,
                past.mature_posts,
                past.mature_posts == 0,
                (past.sum_log_score + shrinkage * subreddit_mean) / weight if past.mature_posts else subreddit_mean,
                past.best_log_score if past.mature_posts else subreddit_mean,
                min((now - past.last_post) / 86_400, LONGEST_PAUSE_DAYS) if past.posts else LONGEST_PAUSE_DAYS,
                subreddit_count > 0,
                subreddit_mean,
                0,
            )
        for row in order[start:end]:
            name = authors[row]
            if name is not None:
                author = history.setdefault(name, _Author())
                author.posts += 1
                author.last_post = now
        start = end

    features = {name: table[:, column].copy() for column, name in enumerate(COLUMNS)}
    features["subreddit_posts_last_24h"] = _posts_within(created, 86_400)
    return features


def _posts_within(created: npt.NDArray[np.int64], seconds: int) -> npt.NDArray[np.float32]:
    """Posts created in the `seconds` before each post: from then, inclusive, to its own second, exclusive."""
    times = np.sort(created)
    before = np.searchsorted(times, created, side="left")
    older = np.searchsorted(times, created - seconds, side="left")
    return (before - older).astype(np.float32)


def _checked(
    post_ids: Sequence[str],
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    shrinkage: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Creation and maturity in epoch seconds, scores in float64."""
    created = np.asarray(created_at, dtype="datetime64[s]")
    matured = np.asarray(matured_at, dtype="datetime64[s]")
    scores = np.asarray(log_score, dtype=np.float64)
    if not len(post_ids) == len(authors) == len(created) == len(matured) == len(scores):
        raise ValueError("post_ids, authors, created_at, matured_at and log_score must have one entry per post")
    if np.isnat(created).any() or np.isnat(matured).any():
        raise ValueError(
            "created_at or matured_at has missing times; every post matures at its creation plus the label age"
        )
    if (matured < created).any():
        raise ValueError("a post matures before it is created; matured_at is created_at plus the label age")
    if np.isinf(scores).any():
        raise ValueError("log_score is infinite; posts without a label are NaN")
    if shrinkage < 0:
        raise ValueError(f"shrinkage must not be negative, and is {shrinkage}")
    return created.astype(np.int64), matured.astype(np.int64), scores

"""What a prediction is judged against: the log score, and what other papers take for popularity.

A predictor answers one question, the expected log score of a post. A target says which test posts it is judged on, what
is true of them, and what its expectations say of that truth. Thresholds of classes, and what a percentile is among,
come from the posts that predictors learnt from, never from the test part. A target that too few posts have is there
without posts and says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.metrics import percentile_rank

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

TRAILING: Final = timedelta(days=30)
"""How far back the usual score of a community is looked for."""

CLASS_WINDOW: Final = timedelta(days=90)
"""Of the posts that were learnt from, the quarters of a community are those of so long before the last of them."""

MIN_TRAILING: Final = 10
"""Fewest posts within `TRAILING` for a usual score."""

MIN_MONTH: Final = 20
"""Fewest labelled posts of a month among which a percentile says something."""

MIN_COMMUNITY: Final = 40
"""Fewest posts of a community for quarters."""

MIN_AUTHOR: Final = 8
"""Fewest posts that were learnt from, of an author with quarters of their own: two posts in each."""

Kind = Literal["score", "percentile", "rank", "class"]


@dataclass(frozen=True, eq=False)
class Posts:
    """The labelled posts of one subreddit in the split that predictors share.

    Args:
        created_at: (n,) datetime64[s], UTC.
        log_score: (n,) matured log scores.
        authors: (n,) names of authors; a post of an unknown author has a name of its own.
        groups: (n,) duplicate groups.
        split: (n,) parts, as of `splits.time_split`.
        log_subscribers: (n,) ln(1 + members of the subreddit) at the time of the post, NaN where not known.

    Raises:
        ValueError: lengths differ, or a log score is not finite.
    """

    created_at: npt.NDArray[np.datetime64]
    log_score: Doubles
    authors: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    split: npt.NDArray[np.str_]
    log_subscribers: Doubles

    def __post_init__(self) -> None:
        sides: tuple[npt.NDArray[Any], ...] = (self.authors, self.groups, self.split, self.log_subscribers)
        if any(side.shape != self.log_score.shape for side in (self.created_at, *sides)) or self.log_score.ndim != 1:
            raise ValueError("created_at, log_score, authors, groups, split and log_subscribers must each be (n,)")
        if not np.isfinite(self.log_score).all():
            raise ValueError("log scores must be finite; leave posts without a label out")

    def __len__(self) -> int:
        return len(self.log_score)

    @property
    def test(self) -> Rows:
        """Row numbers of the test part."""
        return np.flatnonzero(self.split == "test")

    @property
    def learnt(self) -> Rows:
        """Row numbers of the posts that predictors learnt from: the train and the validation part."""
        return np.flatnonzero(np.isin(self.split, ("train", "validation")))


@dataclass(frozen=True, eq=False)
class Target:
    """One way to be popular.

    Attributes:
        name: As in marts.metrics.
        kind: Which metrics apply: "score" (all of a log score), "percentile" (ranks and errors), "rank" (ranks
            only: the expectation is on another scale) or "class".
        rows: (m,) test posts that are judged.
        truth: (m,) values; of a class 1.0 and 0.0.
        score: Maps the expected log scores of all n posts to the (m,) values that are compared with the truth, or that
            order the posts from the least to the most likely member of the class.
        decide: Of a class: maps them to (m,) bool, which posts are said to be in it; None where a predictor expects
            the same of all posts that it learnt from, so that it has no quarters.
        note: Why there are no posts; None if there are.
    """

    name: str
    kind: Kind
    rows: Rows
    truth: Doubles
    score: Callable[[Doubles], Doubles]
    decide: Callable[[Doubles], npt.NDArray[np.bool_] | None] | None = None
    note: str | None = None


def targets_of(posts: Posts) -> tuple[Target, ...]:
    """All targets of a subreddit; the names are the same for all, whatever there is of each."""
    return (
        Target("log_score", "score", posts.test, posts.log_score[posts.test], lambda expected: expected[posts.test]),
        month_percentile(posts),
        trailing_ratio(posts),
        per_subscriber(posts),
        *community_quarters(posts),
        *author_quarters(posts),
    )


def month_percentile(posts: Posts) -> Target:
    """Mid-rank of the score among all labelled posts of the same subreddit and calendar month (UTC), from 0 to 1.

    Takes the growth of a community and its seasons out of the truth. The prediction is the mid-rank of the expected log
    score among the scores that were learnt from: nobody knows those of the month yet.
    """
    months = posts.created_at.astype("datetime64[M]")
    _, month, sizes = np.unique(months, return_inverse=True, return_counts=True)
    rows = posts.test[sizes[month[posts.test]] >= MIN_MONTH]
    truth = np.zeros(len(posts))
    for number in np.unique(month[rows]):
        members = month == number
        truth[members] = percentile_rank(posts.log_score[members], posts.log_score[members])
    known = posts.log_score[posts.learnt]
    if not len(known):
        return _empty("month_percentile", "percentile", "no posts were learnt from")
    note = None if len(rows) else f"no month of the test part has {MIN_MONTH} labelled posts"
    return Target(
        *("month_percentile", "percentile", rows, truth[rows]),
        lambda expected: percentile_rank(known, expected[rows]) if len(rows) else np.zeros(0),
        note=note,
    )


def trailing_ratio(posts: Posts) -> Target:
    """Score over the usual score of the community: the log score minus the median of those of the 30 days before.

    (1 + score) / (1 + median) on the log scale: the audience-normalised popularity of Qian et al. with the activity of
    the community for its size. Judged by rank, with the expected log scores as they are: a predictor that lives on the
    growth of the community gains nothing here.
    """
    order = np.argsort(posts.created_at, kind="stable")
    times, scores = posts.created_at[order], posts.log_score[order]
    starts = np.searchsorted(times, posts.created_at[posts.test] - np.timedelta64(TRAILING))
    ends = np.searchsorted(times, posts.created_at[posts.test])
    enough = ends - starts >= MIN_TRAILING
    usual = [float(np.median(scores[a:b])) for a, b in zip(starts[enough], ends[enough], strict=True)]
    rows = posts.test[enough]
    note = None if len(rows) else f"no test post has {MIN_TRAILING} labelled posts in the {TRAILING.days} days before"
    return Target(
        *("trailing_ratio", "rank", rows, posts.log_score[rows] - np.array(usual)),
        lambda expected: expected[rows],
        note=note,
    )


def per_subscriber(posts: Posts) -> Target:
    """Score over the number of members, ln((1 + score) / (1 + members)), where it was read near the post's time.

    The like-to-follower ratio of Qian et al. 2017. Judged by rank, with the expected log scores as they are.
    """
    rows = posts.test[np.isfinite(posts.log_subscribers[posts.test])]
    note = None if len(rows) else "the number of members is not known for any test post"
    return Target(
        *("per_subscriber", "rank", rows, posts.log_score[rows] - posts.log_subscribers[rows]),
        lambda expected: expected[rows],
        note=note,
    )


def community_quarters(posts: Posts) -> tuple[Target, Target]:
    """Whether a post is in the top quarter of its community; and, of the top and the bottom quarter, in which.

    The quarters end at the quartiles of what was learnt from in the `CLASS_WINDOW` before the last of these posts. A
    predictor says "top" where its expectation reaches the same quantile of what it expects of these very posts: its
    expectations are less spread than scores, so the score at the quartile would hardly ever be reached.
    """
    names = ("top_quarter", "extreme_quarters")
    learnt = posts.learnt
    if len(learnt):
        first = posts.created_at[learnt].max() - np.timedelta64(CLASS_WINDOW)
        recent = learnt[posts.created_at[learnt] >= first]
        learnt = recent if len(recent) >= MIN_COMMUNITY else learnt
    if len(learnt) < MIN_COMMUNITY:
        note = f"{len(learnt)} of {MIN_COMMUNITY} posts to find quarters among"
        return _empty(names[0], "class", note), _empty(names[1], "class", note)
    members = np.zeros(len(posts), dtype=np.int64)
    top, extreme = _quarters(names, posts, posts.test, members, [learnt])
    return top, extreme


def author_quarters(posts: Posts) -> tuple[Target, Target]:
    """The same within an author: the label of Zhang et al. 2018 (dual attention), who drop the middle half.

    Only authors of whom `MIN_AUTHOR` posts were learnt from have quarters. Posts are ordered by how far the expectation
    is above what is usually expected of the author, the median.
    """
    names = ("author_top_quarter", "author_extreme_quarters")
    learnt = posts.learnt
    _, author = np.unique(posts.authors, return_inverse=True)
    sizes = np.bincount(author[learnt], minlength=int(author.max(initial=-1)) + 1)
    rows = posts.test[sizes[author[posts.test]] >= MIN_AUTHOR]
    if not len(rows):
        note = f"no test post is by an author of whom {MIN_AUTHOR} posts were learnt from"
        return _empty(names[0], "class", note), _empty(names[1], "class", note)
    known, member = np.unique(author[rows], return_inverse=True)
    members = np.zeros(len(posts), dtype=np.int64)
    members[rows] = member
    return _quarters(names, posts, rows, members, [learnt[author[learnt] == number] for number in known])


def _quarters(
    names: tuple[str, str], posts: Posts, rows: Rows, members: Rows, learnt: list[Rows]
) -> tuple[Target, Target]:
    """Top quarter, and top against bottom quarter, of test posts by the quartiles of the group that each belongs to.

    Args:
        names: of the two targets.
        posts: the subreddit.
        rows: test posts that belong to a group.
        members: (n,) group of each post; only those of `rows` count.
        learnt: of each group, the posts that give the quartiles.
    """
    low, high = _quantiles(posts.log_score, learnt, (0.25, 0.75))
    apart = low < high  # else half of the group has the same score, and there are no quarters
    rows = rows[apart[members[rows]]]
    truth, group = posts.log_score[rows], members[rows]
    top, bottom = truth >= high[group], truth <= low[group]
    extreme = rows[top | bottom]
    several = len(learnt) > 1
    note = None if len(rows) else "half of the posts that were learnt from have the same score"

    def score_of(judged: Rows) -> Callable[[Doubles], Doubles]:
        def score(expected: Doubles) -> Doubles:
            usual = _quantiles(expected, learnt, (0.5,))[0] if several else np.zeros(len(learnt))
            return expected[judged] - usual[members[judged]]

        return score

    def decide_by(judged: Rows, quantile: float) -> Callable[[Doubles], npt.NDArray[np.bool_] | None]:
        def decide(expected: Doubles) -> npt.NDArray[np.bool_] | None:
            if np.ptp(expected[np.concatenate(learnt)]) == 0.0:
                return None
            least = _quantiles(expected, learnt, (quantile,))[0]
            said: npt.NDArray[np.bool_] = expected[judged] >= least[members[judged]]
            return said

        return decide

    return (
        Target(names[0], "class", rows, top.astype(np.float64), score_of(rows), decide_by(rows, 0.75), note),
        Target(
            *(names[1], "class", extreme, top[top | bottom].astype(np.float64)),
            *(
                score_of(extreme),
                decide_by(extreme, 0.5),
                None if len(extreme) else note or "no test post is in either quarter",
            ),
        ),
    )


def _quantiles(values: Doubles, groups: list[Rows], quantiles: tuple[float, ...]) -> Doubles:
    """(quantiles, groups): of the values of each group's posts."""
    return np.stack([np.quantile(values[rows], quantiles) for rows in groups], axis=1)


def _empty(name: str, kind: Kind, note: str) -> Target:
    none = np.zeros(0, dtype=np.int64)
    return Target(name, kind, none, np.zeros(0), lambda expected: expected[none], lambda _: None, note)

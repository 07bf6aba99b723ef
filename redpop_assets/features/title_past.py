"""How titles with the same words, and titles that mean the like, did before: what a community has taught so far.

A predictor is trained once and then meets posts of months or years to come; its idea of which subjects are liked stays
as old as its training. What is here goes on learning between trainings, from nothing but what was known at each post:
the scores of its community that had matured by then, each taken against the level of its own time, so that growth and
decline of the community teach nothing about a word.

* Words and pairs of neighbouring words: the mean of the earlier posts that have them, drawn towards 0, as in a naive
  Bayes classifier.
* The title as a whole: a ridge regression on the vectors of the titles that is learnt again every week and tested on
  the next (prequential, "test then train"; Dawid 1984), older posts fading.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import CHEAP_CHUNK, Encoders, Family, Features, Past, Subjects
from redpop_assets.features.past import (
    SECONDS_PER_DAY,
    Doubles,
    Flags,
    Floats,
    History,
    Ints,
    Level,
    Moments,
    Posts,
    checked_posts,
    moments_of,
    pair_codes,
    ratio,
)
from redpop_assets.features.tokens import CODE_VERSION as TOKENS_VERSION
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.features.vectors import Vectors, present_rows
from redpop_assets.kept import Recent

CODE_VERSION: Final = f"1.{TOKENS_VERSION}"
"""Raise its first number whenever a title would get other numbers than before."""

STATISTICS: Final = ("known", "past_sum", "past_mean", "past_min", "past_max")
"""What is said of the words, and of the pairs of words, of a title."""

COLUMNS: Final[tuple[str, ...]] = (
    *(f"{terms}_{name}" for terms in ("words", "pairs") for name in STATISTICS),
    "title_expected",
    "title_learnt_from",
)
"""Order of the columns of `title_past_features`; all are scalars."""

SHRINKAGE: Final = {"words": 20.0, "pairs": 10.0}
"""Earlier posts with a term after which its mean counts by half: a word alone says little, so it needs more of them."""

PENALTY: Final = 3.0
"""Of the ridge regression on unit vectors, in posts."""

WEEK: Final = 7 * SECONDS_PER_DAY
HALF_LIFE_WEEKS: Final = 52.0
"""Weeks after which a post counts half in the ridge regression."""

LEAST_LEARNT_FROM: Final = 50
"""Posts, faded ones in part, below which the ridge regression says nothing."""

_WEEKS_KEPT: Final = 512  # some kB each
_FEW: Final = 20  # as many times more posts are in the past


def title_past_features(
    post_ids: Sequence[str],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    tokens: Sequence[Sequence[str]],
    vectors: Floats,
    *,
    due: Flags | None = None,
) -> dict[str, Floats]:
    """What earlier titles say of each title.

    A post sees only posts of strictly earlier seconds, and their scores only once they were mature; rows never change
    when later posts, or scores that had not matured, are added or altered, and do not depend on the order of the input.

    The *relative* score of a post is its log score minus the `Level` of the community when it was made. A post before
    which no score had matured has no relative score, and teaches nothing. Takes O(t log t) for t words, O(n e^2) for
    the vectors, and O(e^3) a week.

    Args:
        post_ids: n ids of the posts of one subreddit.
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: creation plus label age and label window, as in `author_features`.
        log_score: (n,) labels, all on one score scale; NaN for posts without one.
        tokens: n captions as `redpop_assets.features.tokens.caption_tokens` gives them.
        vectors: (n, e) of the captions, of any length; rows of NaN where a post has none, (n, 0) if there are none.
        due: (n,) posts that are wanted; None for all.

    Returns:
        The columns of `COLUMNS`, each (m,) float32 for the m due posts in the order of the input, always finite; for
        the different words of a title, and likewise for its pairs of neighbouring words:

        * `known`: how many of them an earlier post with a mature score has;
        * `past_sum`, `past_min`, `past_max`: over these, of the mean relative score of the earlier posts with the word,
          m posts weighing m / (m + `SHRINKAGE`); 0 without any;
        * `past_mean`: the mean of that, a word with m earlier posts weighing 1 / ln(2 + m): what is rare tells more;

        and of the title as a whole:

        * `title_expected`: relative score that a ridge regression on the vectors expects. It is learnt at the beginning
          of every week (of 7 days since 1970) from what had matured by then, a post weighing 1/2 after
          `HALF_LIFE_WEEKS`; 0 with fewer than `LEAST_LEARNT_FROM` posts, or without a vector;
        * `title_learnt_from`: ln(1 + posts it was learnt from, faded ones in part), 0 where `title_expected` is 0.

    Raises:
        ValueError: lengths differ, a time is missing, a score is no log score, a post matures before it is created, or
            a vector is partly missing.
    """
    times = created_at, matured_at
    wanted = np.ones(len(created_at), dtype=np.bool_) if due is None else np.asarray(due, dtype=np.bool_)
    if not len(post_ids) == len(tokens) == len(vectors) == len(wanted):
        raise ValueError("tokens, vectors and due must have one entry per post")
    asked = np.flatnonzero(wanted)
    own = [tokens[row] for row in asked.tolist()]
    stored = Vectors.of(vectors, "vectors")
    past = TitlePast(post_ids, *times, log_score, Words(tokens), stored, frozenset(chain.from_iterable(own)))
    return past.features(moments_of(created_at)[asked], own, vectors[asked])


class TitlePast:
    """The titles of a subreddit, prepared for questions about others.

    Args:
        post_ids, created_at, matured_at, log_score: as of `title_past_features`.
        words: of the captions.
        vectors: of the captions, of any length.
        asked: tokens of all titles that will be asked about; None if that may be any.
    """

    def __init__(
        self,
        post_ids: Sequence[str],
        created_at: npt.NDArray[np.datetime64],
        matured_at: npt.NDArray[np.datetime64],
        log_score: npt.NDArray[np.floating],
        words: Words,
        vectors: Vectors,
        asked: Collection[str] | None = None,
    ) -> None:
        posts = checked_posts(post_ids, created_at, matured_at, log_score)
        relative = Level(posts).standings()
        self._words = words
        self._terms = {kind: _Terms(kind, *terms, posts, relative) for kind, terms in words.terms(asked).items()}
        self._titles = _Titles(vectors, posts, relative)

    def features(self, now: Ints, tokens: Sequence[Sequence[str]], vectors: Floats) -> dict[str, Floats]:
        """The columns of `COLUMNS` of m titles at these moments (epoch seconds)."""
        found = {
            name: values
            for kind, terms in self._words.terms_of(tokens).items()
            for name, values in self._terms[kind].features(*terms, now).items()
        }
        found |= self._titles.features(vectors, now)
        return {name: found[name].astype(np.float32) for name in COLUMNS}


class Words:
    """The words of n titles, by their numbers.

    Args:
        titles: n captions as `redpop_assets.features.tokens.caption_tokens` gives them; read once, and not kept.
    """

    def __init__(self, titles: Iterable[Sequence[str]]) -> None:
        self._number: dict[str, int] = {}
        number, words, lengths = self._number, array("q"), array("q")
        for title in titles:
            words.extend([number.setdefault(word, len(number)) for word in title])
            lengths.append(len(title))
        self._words, self._lengths = np.array(words, dtype=np.int64), np.array(lengths, dtype=np.int64)

    def terms(self, among: Collection[str] | None = None) -> dict[str, tuple[Ints, Ints]]:
        """Their different words, and their different pairs of neighbouring words; of some words alone, if given.

        Returns:
            Kind -> the (t,) title of each, ascending, and its (t,) number, in the order of the title.
        """
        if among is None:
            return self._terms(self._lengths, self._words)
        counts = np.array([word in among for word in self._number], dtype=np.bool_)
        return self._terms(self._lengths, np.where(counts[self._words], self._words, -1))

    def terms_of(self, titles: Sequence[Sequence[str]]) -> dict[str, tuple[Ints, Ints]]:
        """Likewise of other titles, of the words that are known."""
        words = [self._number.get(word, -1) for title in titles for word in title]
        lengths = [len(title) for title in titles]
        return self._terms(np.array(lengths, dtype=np.int64), np.array(words, dtype=np.int64))

    def _terms(self, lengths: Ints, word: Ints) -> dict[str, tuple[Ints, Ints]]:
        title = np.repeat(np.arange(len(lengths)), lengths)
        first = np.flatnonzero(title[:-1] == title[1:])
        pair = pair_codes(word[first], word[first + 1], len(self._number))
        return {"words": _different(title, word), "pairs": _different(title[first], pair)}


def _different(title: Ints, term: Ints) -> tuple[Ints, Ints]:
    """Each known term of a title once, at its first place."""
    title, term = title[term >= 0], term[term >= 0]
    _, code = np.unique(term, return_inverse=True)  # without gaps: the product of titles and pairs has no limit
    _, places = np.unique(title * (len(code) + 1) + code, return_index=True)
    places.sort()
    return title[places], term[places]


class _Terms:
    """What was known of the words, or of the pairs of words, of titles at any moment.

    Args:
        kind: one of `SHRINKAGE`.
        row: (t,) the post of each term.
        term: (t,) numbers of the terms.
        posts: n posts.
        relative: (n,) their relative scores.
    """

    def __init__(self, kind: str, row: Ints, term: Ints, posts: Posts, relative: Doubles) -> None:
        self._kind = kind
        self._known = np.unique(term)
        term = np.searchsorted(self._known, term)  # numbers without gaps: those of pairs are large
        visible_from, rank = posts.visible_from[row], posts.rank[row]
        self._mature = History(np.where(np.isnan(relative)[row], -1, term), visible_from, rank)
        self._moments = Moments.of(self._mature, np.nan_to_num(relative)[row])

    def features(self, row: Ints, term: Ints, now: Ints) -> dict[str, Doubles]:
        """The columns of m titles with these terms: (t,) the title of each, and its number."""
        there = np.isin(term, self._known)
        row, term = row[there], np.searchsorted(self._known, term[there])
        start, end = self._mature.begin(term), self._mature.until(term, now[row])
        known = end > start
        row, start, end = row[known], start[known], end[known]
        count = (end - start).astype(np.float64)
        shrunk = self._moments.total(start, end) / (count + SHRINKAGE[self._kind])
        weight = 1 / np.log(2 + count)

        size = len(now)
        number_known = np.bincount(row, minlength=size)
        lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(lowest, row, shrunk)
        np.maximum.at(highest, row, shrunk)
        weights = np.bincount(row, weight, minlength=size)
        found = {
            "known": number_known.astype(np.float64),
            "past_sum": np.bincount(row, shrunk, minlength=size),
            "past_mean": ratio(np.bincount(row, shrunk * weight, minlength=size), weights),
            "past_min": np.where(number_known > 0, lowest, 0.0),
            "past_max": np.where(number_known > 0, highest, 0.0),
        }
        return {f"{self._kind}_{name}": found[name] for name in STATISTICS}


class _Titles:
    """The ridge regression as it was learnt in any week.

    Args:
        vectors: of the past.
        posts: n posts.
        relative: (n,) their relative scores.
    """

    def __init__(self, vectors: Vectors, posts: Posts, relative: Doubles) -> None:
        there = vectors.there
        taught_in = -(-posts.visible_from // WEEK)  # the first week that begins when the score is known
        teaching = np.flatnonzero(there & ~np.isnan(relative))
        self._teaching = teaching[np.lexsort((posts.rank[teaching], taught_in[teaching]))]
        self._taught_in, self._vectors, self._relative = taught_in[self._teaching], vectors, relative
        # Fading in one step rounds otherwise than in two: the weeks are those of all posts, whichever are asked about.
        self._weeks = np.unique(np.concatenate([self._taught_in, posts.created[there] // WEEK]))
        self._learnt: Recent[int, _Learnt] = Recent(_WEEKS_KEPT)
        self._last: _FadingRidge | None = None  # as of the last of the weeks, once somebody asked
        self._walking = threading.Lock()

    def features(self, vectors: Floats, now: Ints) -> dict[str, Doubles]:
        """The columns of the regression of m titles, (m, e)."""
        expected, learnt_from = np.zeros(len(now)), np.zeros(len(now))
        asking = np.flatnonzero(present_rows(vectors, "vectors"))
        week_of = now[asking] // WEEK
        with self._walking:
            found = self._learnt.all(np.unique(week_of).tolist(), self._learn)
        for week, learnt in found.items():
            rows = asking[week_of == week]
            if learnt.posts >= LEAST_LEARNT_FROM:
                # Row by row: a product of matrices rounds as its shape has it.
                expected[rows] = (_unit(vectors[rows]) * learnt.coefficients).sum(axis=1)
                learnt_from[rows] = np.log1p(learnt.posts)
        return {"title_expected": expected, "title_learnt_from": learnt_from}

    def _learn(self, asked: Sequence[int]) -> list[_Learnt]:
        """What had been learnt at the begin of some weeks, ascending: from the last one of the past on at no cost."""
        found: dict[int, _Learnt] = {}
        if self._last is None or (self._last.week is not None and asked[0] < self._last.week):
            ridge = _FadingRidge(self._vectors.width)
            weeks = set(self._weeks.tolist())
            for week in sorted(weeks.union(week for week in asked if week <= max(weeks, default=week))):
                if week in weeks:
                    ridge.fade(week)
                    rows = self._teaching[slice(*np.searchsorted(self._taught_in, [week, week + 1]))]
                    ridge.learn(_unit(self._vectors[rows]), self._relative[rows])
                if week in asked:
                    found[week] = ridge.at(week)
            self._last = ridge
        return [found.get(week) or self._last.at(week) for week in asked]


@dataclass(frozen=True)
class _Learnt:
    """A ridge regression: (e,) coefficients, and how many posts it was learnt from, faded ones in part."""

    coefficients: Doubles
    posts: float


class _FadingRidge:
    """Sums of a ridge regression without an intercept (relative scores have a mean of about 0), which fade by week."""

    def __init__(self, width: int) -> None:
        self._squares: Doubles = np.zeros((width, width))
        self._products: Doubles = np.zeros(width)
        self._posts = 0.0
        self.week: int | None = None

    def fade(self, week: int) -> None:
        """Let the time pass until a week."""
        kept = self._share_left(week)
        self._squares *= kept
        self._products *= kept
        self._posts *= kept
        self.week = week

    def _share_left(self, week: int) -> float:
        return 1.0 if self.week is None else 0.5 ** ((week - self.week) / HALF_LIFE_WEEKS)

    def learn(self, inputs: Doubles, targets: Doubles) -> None:
        """Add posts: (m, e) and (m,)."""
        self._squares += inputs.T @ inputs
        self._products += inputs.T @ targets
        self._posts += len(targets)

    def at(self, week: int) -> _Learnt:
        """What is learnt by a week, if nothing more is taught until then."""
        kept = self._share_left(week)
        posts = self._posts * kept
        if posts < LEAST_LEARNT_FROM:
            return _Learnt(np.zeros_like(self._products), posts)
        penalised = self._squares * kept + PENALTY * np.eye(len(self._products))
        solved = np.linalg.solve(penalised, self._products * kept)
        return _Learnt(np.asarray(solved, dtype=np.float64), posts)


def _unit(vectors: Floats) -> Doubles:
    """Vectors (m, e) of length 1; those of length 0 stay."""
    doubles: Doubles = vectors.astype(np.float64)
    return ratio(doubles, np.sqrt((doubles**2).sum(axis=1, keepdims=True)))


def _of_posts(subjects: Subjects, encoders: Encoders) -> Features:
    past, asked = subjects.past, subjects.asked
    own = caption_tokens(asked.captions).tokens
    # Of few posts of the past itself nobody else is asked about: words that they have not need no numbers.
    few = asked.rows is not None and len(asked) * _FEW < len(past)
    among = frozenset(chain.from_iterable(own)) if few else None

    def prepared() -> TitlePast:
        posts = past.posts
        times, words = (posts.created_at, posts.matured_at), past.kept(_words_here)
        vectors = past.vectors("caption", encoders.caption)
        return TitlePast(posts.post_ids, *times, posts.log_score, words, vectors, among)

    here = past.kept_as(("title_past", encoders.caption, among), prepared)
    return here.features(moments_of(asked.created_at), own, asked.vectors("caption", encoders.caption))


def _words_here(past: Past) -> Words:
    captions = past.posts.captions
    parts = (captions[first : first + CHEAP_CHUNK] for first in range(0, len(captions), CHEAP_CHUNK))
    return Words(chain.from_iterable(caption_tokens(part).tokens for part in parts))


FAMILY: Final = Family(
    "title_past",
    "features.title_past",
    "post",
    CODE_VERSION,
    _of_posts,
    networks=(("caption_encoder", "caption"),),
    made_from=("core.labels", "features.caption_embeddings"),
    past="community",
    content={"caption": ""},
    note="Goes on learning between trainings: from every score that had matured when a post was made.",
)

"""What one post may see of others: the walk through time that all features about other posts share.

A post sees another one from the second after its creation, and a score from its maturity on. Everything here is built
from that rule: events become known at a moment, a `History` puts them in that order, and what a post sees of it is a
stretch that ends at its own creation. What comes later lies behind the end of the stretch and cannot change a bit of
what is computed from it:

* sums are kept in fixed point, so they are exact and do not depend on what was added before or besides;
* ties are broken by (creation, post id), never by the order of the input.

Features belong in the modules that use this; here are only the order of time and the sums and order statistics over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from redpop_assets.arrays import np, npt

Ints: TypeAlias = "npt.NDArray[np.int64]"
Doubles: TypeAlias = "npt.NDArray[np.float64]"
Floats: TypeAlias = "npt.NDArray[np.float32]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"

SECONDS_PER_DAY: Final = 86_400

LONGEST_PAUSE_DAYS: Final = 365.0
"""Cap of the days since something happened; it also stands for "never"."""

LEVEL_DAYS: Final = 90
"""Days within which a score matured that belongs to the level of the community at a moment."""

MOST_LOG_SCORE: Final = 64.0
"""Magnitude that no log score reaches: a score of 2^63 has 44."""

FRACTION_BITS: Final = 30
"""Sums are kept in units of 2^-30: 9e-10, below what float32 shows of any number that is summed here."""


@dataclass(frozen=True)
class Posts:
    """Posts with the moments at which they and their scores become known, as `checked_posts` returns them.

    Attributes:
        created: (n,) epoch seconds.
        visible_from: (n,) epoch seconds from which the score may be seen: its maturity, and never the second of
            the post's own creation.
        scores: (n,) float64 log scores, NaN without one.
        rank: (n,) place of each post in the order of (created, post id), from 0.
    """

    created: Ints
    visible_from: Ints
    scores: Doubles
    rank: Ints

    @property
    def labelled(self) -> Flags:
        """(n,) whether the post has a score at all."""
        found: Flags = ~np.isnan(self.scores)
        return found


def checked_posts(
    post_ids: Sequence[str],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
) -> Posts:
    """Check times and scores, and put the posts in order.

    Args:
        post_ids: n ids.
        created_at: (n,) datetime64, UTC; finer units are truncated to seconds.
        matured_at: (n,) datetime64, UTC: the earliest moment the label was final, which is the creation plus
            `LabelRule.final_age`. Neither `LabelRule.age`, when it may still move, nor the time the label was read,
            which for archives is months later.
        log_score: (n,) labels; NaN for posts without one.

    Raises:
        ValueError: lengths differ, a time is missing, a score is infinite or beyond `MOST_LOG_SCORE`, or a post matures
            before it is created.
    """
    created = np.asarray(created_at, dtype="datetime64[s]")
    matured = np.asarray(matured_at, dtype="datetime64[s]")
    scores = np.asarray(log_score, dtype=np.float64) + 0.0  # -0.0 equals 0.0, so which came first must not show
    if not len(post_ids) == len(created) == len(matured) == len(scores):
        raise ValueError("post_ids, created_at, matured_at and log_score must have one entry per post")
    if np.isnat(created).any() or np.isnat(matured).any():
        raise ValueError("created_at or matured_at has missing times; every post matures once its label is final")
    if (matured < created).any():
        raise ValueError(
            "a post matures before it is created; matured_at is created_at plus the age at which labels are final"
        )
    if np.isinf(scores).any():
        raise ValueError("log_score is infinite; posts without a label are NaN")
    if (np.abs(scores) > MOST_LOG_SCORE).any():
        raise ValueError(f"log_score exceeds {MOST_LOG_SCORE:g}: these are no log scores")
    seconds = created.astype(np.int64)
    return Posts(
        created=seconds,
        visible_from=np.maximum(matured.astype(np.int64), seconds + 1),
        scores=scores,
        rank=places(post_ids, seconds),
    )


def places(post_ids: Sequence[str], created: Ints) -> Ints:
    """Place of each post in the order of (created, post id): (n,) from 0."""
    order = np.lexsort((np.asarray(post_ids, dtype=np.str_), created))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def codes(*columns: Sequence[str | None]) -> list[Ints]:
    """Number the names in several columns alike, from 0; None becomes -1, which is nobody."""
    names = Names(*columns)
    return [names.codes(column) for column in columns]


class Names:
    """Numbers for names, so that those who ask later are told the same ones.

    Args:
        columns: names in the order in which they are numbered, from 0; None is nobody.
    """

    def __init__(self, *columns: Sequence[str | None]) -> None:
        known = dict.fromkeys(name for column in columns for name in column)
        known.pop(None, None)
        self._numbers = {name: number for number, name in enumerate(known)}

    def codes(self, names: Sequence[str | None]) -> Ints:
        """(n,) numbers; -1 for None, and for a name that is not known the number behind the last one."""
        unknown = len(self._numbers)
        numbers = self._numbers
        return np.asarray([-1 if name is None else numbers.get(name, unknown) for name in names], dtype=np.int64)

    def pairs(self, one: Ints, names: Sequence[str | None]) -> Ints:
        """Codes (n,) of pairs of some code and a name of these; -1 where either is -1."""
        return pair_codes(one, self.codes(names), len(self._numbers) + 1)


def pair_codes(one: Ints, other: Ints, width: int) -> Ints:
    """Codes (n,) of pairs of codes, of which the second is below `width`; -1 where either is -1."""
    return np.where((one < 0) | (other < 0), -1, one * width + other)


def fixed(values: npt.ArrayLike) -> Ints:
    """Numbers in fixed point, rounded to 2^-FRACTION_BITS: sums of these are exact."""
    scaled: Doubles = np.asarray(values, dtype=np.float64) * 2.0**FRACTION_BITS
    return np.rint(scaled).astype(np.int64)


def floating(values: Ints) -> Doubles:
    """The inverse of `fixed`."""
    return values.astype(np.float64) * 2.0**-FRACTION_BITS


def prefix(values: Ints) -> Ints:
    """Sums of the first 0, 1, … m values, shape (m + 1,): a stretch sums to `prefix[end] - prefix[start]`."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values, dtype=np.int64)])


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike, default: npt.ArrayLike = 0.0) -> Doubles:
    """numerator / denominator, and `default` where the denominator is 0."""
    above, below, other = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64),
        np.asarray(denominator, dtype=np.float64),
        np.asarray(default, dtype=np.float64),
    )
    quotient: Doubles = np.where(below == 0, other, above / np.where(below == 0, 1.0, below))
    return quotient


def days_since(now: Ints, then: Ints, happened: Flags, cap: float = LONGEST_PAUSE_DAYS) -> Doubles:
    """Days from `then` to `now`, at most `cap`, which also stands for what never happened."""
    return np.where(happened, np.minimum((now - then) / SECONDS_PER_DAY, cap), cap)


def moments_of(created_at: npt.NDArray[np.datetime64]) -> Ints:
    """Epoch seconds (n,) of datetime64, UTC; finer units are truncated.

    Raises:
        ValueError: a time is missing.
    """
    created = np.asarray(created_at, dtype="datetime64[s]")
    if np.isnat(created).any():
        raise ValueError("created_at has missing times; leave those posts out first")
    return created.astype(np.int64)


class History:
    """Events in the order of their owner and of the moment from which they are known.

    An owner is whatever the question is about: an author, a community, a picture. A stretch of `order` from
    `begin(owner)` to `until(owner, moment)` holds what was known of the owner at that moment.

    Args:
        owner: (m,) codes from 0; events of nobody, -1, are left out.
        known_from: (m,) epoch seconds; a post that is known only in the seconds after its creation has created + 1.
        rank: (m,) order among events that become known in the same second.
    """

    def __init__(self, owner: Ints, known_from: Ints, rank: Ints) -> None:
        events = np.flatnonzero(owner >= 0)
        order = events[np.lexsort((rank[events], known_from[events], owner[events]))]
        self.order: Ints = order
        """(k,) events, k of the m."""
        self.owner: Ints = owner[order]
        """(k,) their owners, ascending."""
        self._moments = np.unique(known_from[order])
        self._keys = self._key(self.owner, np.searchsorted(self._moments, known_from[order]))

    def begin(self, owner: Ints) -> Ints:
        """Position in `order` of the first event of each owner; (n,) for (n,)."""
        return np.searchsorted(self._keys, self._key(owner, np.zeros(len(owner), dtype=np.int64)))

    def until(self, owner: Ints, moment: Ints) -> Ints:
        """Position in `order` behind the last event of the owner known at the moment, that moment included."""
        return np.searchsorted(self._keys, self._key(owner, np.searchsorted(self._moments, moment, side="right")))

    def leaders(self) -> Ints:
        """(k,) for each position in `order`, that of the first event of the same owner."""
        return self.begin(self.owner)

    def running_max(self, numbers: Ints) -> Ints:
        """Largest number of the owner's events up to each position of `order`.

        Args:
            numbers: (m,) one for each event, from 0.

        Returns:
            (k,): what a stretch from the begin of an owner has as its maximum stands at its last position.
        """
        width = int(numbers.max(initial=0)) + 1
        highest: Ints = np.maximum.accumulate(self.owner * width + numbers[self.order]) - self.owner * width
        return highest

    def _key(self, owner: Ints, moment: Ints) -> Ints:
        return owner * (len(self._moments) + 1) + moment


@dataclass(frozen=True)
class Moments:
    """Number, sum and spread of the values in any stretch of a history.

    The values of an owner are kept as differences from its first one: equal values have a spread of exactly 0.
    """

    reference: Doubles  # (k + 1,) first value of the owner; the last entry is never used
    sums: Ints  # (k + 1,) of the differences
    squares: Ints  # (k + 1,) of their squares

    @classmethod
    def of(cls, history: History, values: Doubles) -> Self:
        """Of the values (m,) of the events of a history; those of events in its order must be finite."""
        ordered = values[history.order]
        reference = ordered[history.leaders()]
        difference = ordered - reference
        return cls(
            reference=np.append(reference, 0.0), sums=prefix(fixed(difference)), squares=prefix(fixed(difference**2))
        )

    def total(self, start: Ints, end: Ints) -> Doubles:
        """Sum over each stretch, 0 for empty ones."""
        return (end - start) * self.reference[start] + floating(self.sums[end] - self.sums[start])

    def mean(self, start: Ints, end: Ints, default: npt.ArrayLike = 0.0) -> Doubles:
        """Mean over each stretch, `default` for empty ones."""
        return ratio(self.total(start, end), end - start, default)

    def scatter(self, start: Ints, end: Ints) -> Doubles:
        """Sum of the squared differences from the mean of each stretch, 0 for empty ones."""
        differences = floating(self.sums[end] - self.sums[start])
        squares = floating(self.squares[end] - self.squares[start])
        return np.maximum(squares - ratio(differences**2, end - start), 0.0)


class Level:
    """The level of a community at any moment: the mean of the log scores that matured in the `LEVEL_DAYS` days before,
    or, where there are none, of all that had matured.

    Args:
        posts: of the community.
    """

    def __init__(self, posts: Posts) -> None:
        self._posts = posts
        self._mature = History(np.where(posts.labelled, 0, -1), posts.visible_from, posts.rank)
        self._moments = Moments.of(self._mature, posts.scores)

    def at(self, now: Ints, default: float) -> Doubles:
        """(n,) at n moments (epoch seconds); `default` where no score had matured."""
        everyone = np.zeros_like(now)
        begin, end = self._mature.begin(everyone), self._mature.until(everyone, now)
        start = self._mature.until(everyone, now - LEVEL_DAYS * SECONDS_PER_DAY)
        return self._moments.mean(start, end, self._moments.mean(begin, end, default))

    def standings(self) -> Doubles:
        """(n,) scores of the posts against the level when each was made; NaN where there is no score, or no level."""
        found: Doubles = self._posts.scores - self.at(self._posts.created, np.nan)
        return found


class Ordered:
    """Order statistics of any stretch of a sequence of numbers, in O(log m) per question.

    A wavelet matrix (Claude, Navarro and Ordóñez 2015): the numbers are sorted bit by bit, the highest first, and per
    bit it is kept how many zeros stand before each position.

    Args:
        numbers: (m,) numbers from 0.
    """

    def __init__(self, numbers: Ints) -> None:
        self._levels: list[tuple[int, Ints, int]] = []
        rest = numbers
        for bit in reversed(range(int(numbers.max(initial=0)).bit_length())):
            ones = (rest >> bit) & 1 == 1
            zeros = prefix((~ones).astype(np.int64))
            self._levels.append((bit, zeros, int(zeros[-1])))
            rest = np.concatenate([rest[~ones], rest[ones]])

    def smallest(self, start: Ints, end: Ints, k: Ints) -> Ints:
        """The k-th smallest number of each stretch, from 0; what it is where k is not below its length is undefined."""
        found = np.zeros(len(k), dtype=np.int64)
        for bit, zeros, all_zeros in self._levels:
            zero_start, zero_end = zeros[start], zeros[end]
            is_one = k >= zero_end - zero_start
            k = np.where(is_one, k - (zero_end - zero_start), k)
            start = np.where(is_one, all_zeros + start - zero_start, zero_start)
            end = np.where(is_one, all_zeros + end - zero_end, zero_end)
            found |= is_one.astype(np.int64) << bit
        return found

    def below(self, start: Ints, end: Ints, bound: Ints) -> Ints:
        """How many numbers of each stretch are below the bound of the stretch."""
        beyond = bound >> (self._levels[0][0] + 1 if self._levels else 0) > 0
        count = np.where(beyond, end - start, 0)
        for bit, zeros, all_zeros in self._levels:
            zero_start, zero_end = zeros[start], zeros[end]
            is_one = (bound >> bit) & 1 == 1
            count += np.where(is_one & ~beyond, zero_end - zero_start, 0)
            start = np.where(is_one, all_zeros + start - zero_start, zero_start)
            end = np.where(is_one, all_zeros + end - zero_end, zero_end)
        return count


class Quantiles:
    """Quantiles of the values in any stretch of a history, interpolated between neighbours as numpy does.

    Args:
        history: m events.
        values: (m,) one for each event; those of events in its order must be finite.
    """

    def __init__(self, history: History, values: Doubles) -> None:
        self._values, numbers = np.unique(values[history.order], return_inverse=True)
        self._ordered = Ordered(numbers.astype(np.int64))

    def at(self, start: Ints, end: Ints, shares: Iterable[float], default: npt.ArrayLike = 0.0) -> list[Doubles]:
        """One array (n,) per share (0 to 1) over n stretches; `default` where a stretch is empty."""
        length = end - start
        found = []
        for share in shares:
            place = np.maximum(share * (length - 1), 0.0)
            low = np.floor(place).astype(np.int64)
            high = np.minimum(low + 1, np.maximum(length - 1, 0))
            lower, upper = (self._value(start, end, k) for k in (low, high))
            found.append(np.where(length > 0, lower + (place - low) * (upper - lower), default))
        return found

    def _value(self, start: Ints, end: Ints, k: Ints) -> Doubles:
        if not len(self._values):
            return np.zeros(len(k))
        number = self._ordered.smallest(start, end, k)
        # Undefined answers, of empty stretches, may lie beyond the last value.
        values: Doubles = self._values[np.minimum(number, len(self._values) - 1)]
        return values

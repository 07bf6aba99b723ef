"""Why a predictor expects what it expects of a draft: what each side of it adds to a usual post of the community.

Whatever the predictor, it can be asked about posts put together from the draft and from usual ones. What a side adds is
its Shapley value (Shapley 1953, "A value for n-person games", eq. 12; for predictions: Lundberg and Lee 2017, "A
unified approach to interpreting model predictions", eq. 8): the mean, over all orders in which the sides of a usual
post can be replaced by those of the draft, of how the expectation changes at its turn. With at most six sides every
combination is asked about, so nothing is estimated but the mean over the usual posts. The values sum to the expectation
of the draft less the mean of those of the usual posts.

A reason is about the predictor, not about the world: it says what was looked at, not what would happen if one painted
the sky red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import factorial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from redpop_assets.features.registry import BLOCKS
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import EMBEDDINGS, WIDE_BLOCKS, Block, Dataset, joined
from redpop_assets.refresh.sides import Side, mixed, side_of, sides_of
from redpop_assets.storage.schema import Column, Schema

USUAL_POSTS: Final = 32
"""Posts that stand for the usual ones, the newest that the predictor has not learnt from, spread evenly."""

MOST_INPUTS: Final = 3
"""Inputs that are told of one side."""

LEAST_INPUT: Final = 0.01
"""Change of the expectation (log score) below which an input is not worth telling."""

_CLOCK: Final = {"hour": ("hour",), "weekday": ("weekday",), "day_of_year": ("day_of_year", "month")}
"""What is one thing to people -> the columns of the block `time` that encode it."""

_POSTS_PER_INPUT: Final = 8
_Doubles: TypeAlias = "npt.NDArray[np.float64]"
_Rows: TypeAlias = "npt.NDArray[np.intp]"


@dataclass(frozen=True)
class Input:
    """One input of a predictor that made a difference.

    Attributes:
        block, column: where it stands, as in `marts.feature_catalogue`.
        meaning: what it is, as the comment of its column says.
        value: of the draft; None where it has none.
        usual: median of the usual posts; None where they have none.
        added: how the expectation of the draft (log score) changes, on average, when this input of a usual post is
            replaced by that of the draft, all else being the draft's.
    """

    block: str
    column: str
    meaning: str
    value: float | None
    usual: float | None
    added: float


@dataclass(frozen=True)
class Part:
    """What one side of a draft adds to what is expected of it.

    Attributes:
        side: of `redpop_assets.refresh.sides.SIDES`.
        added: its Shapley value, log score.
        inputs: those of this side that make the largest differences, at most `MOST_INPUTS`; not all of it: vectors of
            networks have no words.
    """

    side: Side
    added: float
    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Explanation:
    """The expectation of a draft taken apart.

    Attributes:
        expected_log_score: of the draft.
        usual_log_score: mean of what is expected of the usual posts.
        usual_posts: how many they are.
        parts: the largest first; they sum to the difference of the two.
    """

    expected_log_score: float
    usual_log_score: float
    usual_posts: int
    parts: tuple[Part, ...]


def explain(predictor: Predictor, draft: Dataset, usual: Dataset, schema: Schema) -> Explanation:
    """Take the expectation of a draft apart.

    The predictor is asked about at most 64 combinations of each usual post, and for each of its inputs that has words
    about a few of them, all at once.

    Args:
        predictor: who expects it.
        draft: one post.
        usual: posts of the same community, at least one.
        schema: what columns mean.

    Raises:
        ValueError: there is no usual post, or not exactly one draft.
    """
    if len(draft) != 1 or not len(usual):
        raise ValueError(f"one draft and some usual posts are needed, not {len(draft)} and {len(usual)}")
    shown = [replace(posts, log_score=None).pick(predictor.columns) for posts in (usual, draft)]
    data = joined(shown, usual.subreddit)
    players: list[Side] = [
        side
        for side in sides_of(predictor.columns, reads_captions=predictor.reads_captions)
        if side != "agreement"  # it comes with picture and title
    ]
    coalitions: list[frozenset[Side]] = [
        frozenset(chosen) for size in range(len(players) + 1) for chosen in combinations(players, size)
    ]
    n = len(usual)
    posts = np.tile(np.arange(n), len(coalitions))
    replaced: dict[Side, _Rows] = {}
    comes_with: dict[Side, set[Side]] = {"agreement": {"picture", "title"}}
    for side in (*players, *comes_with):
        needed = comes_with.get(side, {side})
        there = np.repeat([needed <= coalition for coalition in coalitions], n)
        replaced[side] = np.where(there, n, posts)
    means = predictor.predict(mixed(data, posts, replaced)).reshape(len(coalitions), n).mean(axis=1)
    worth = dict(zip(coalitions, means.tolist(), strict=True))
    inputs = _inputs(predictor, data, schema)
    parts = [Part(side, _shapley(side, players, worth), inputs.get(side, ())) for side in players]
    return Explanation(
        expected_log_score=float(predictor.predict(draft)[0]),
        usual_log_score=worth[frozenset()],
        usual_posts=len(usual),
        parts=tuple(sorted(parts, key=lambda part: -abs(part.added))),
    )


def _shapley(side: Side, players: Sequence[Side], worth: Mapping[frozenset[Side], float]) -> float:
    others = [player for player in players if player != side]
    n = len(players)
    total = 0.0
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for chosen in combinations(others, size):
            before = frozenset(chosen)
            total += weight * (worth[before | {side}] - worth[before])
    return total


@dataclass(frozen=True)
class _Named:
    """What has words of its own: a column, or those that are one thing to people, such as the clock."""

    block: str
    column: str
    columns: tuple[str, ...]
    meaning: str
    values: tuple[float, ...]
    """Of all posts, the draft last; NaN where unknown."""

    @property
    def own(self) -> float | None:
        """Of the draft."""
        return None if np.isnan(self.values[-1]) else self.values[-1]

    @property
    def usual(self) -> float | None:
        """Median of the others."""
        known = [value for value in self.values[:-1] if not np.isnan(value)]
        return float(np.median(known)) if known else None


def _inputs(predictor: Predictor, data: Dataset, schema: Schema) -> dict[Side, tuple[Input, ...]]:
    """What single inputs of the draft, the last post of the data, make out against those of the usual posts."""
    draft = len(data) - 1
    spread = np.unique(np.linspace(0, draft - 1, min(_POSTS_PER_INPUT, draft)).round().astype(np.intp))
    named = [one for one in _named(predictor.columns, data, schema) if one.own != one.usual]
    if not named:
        return {}
    kept = data.take(np.append(spread, draft))
    expected = float(predictor.predict(data.take(np.array([draft])))[0])
    without = predictor.predict(_with_inputs_of_others(kept, named)).reshape(len(named), len(spread)).mean(axis=1)
    found: dict[Side, list[Input]] = {}
    for one, change in zip(named, (expected - without).tolist(), strict=True):
        if abs(change) >= LEAST_INPUT:
            told = Input(one.block, one.column, one.meaning, one.own, one.usual, change)
            found.setdefault(side_of(one.block, one.columns[0]), []).append(told)
    return {side: tuple(sorted(some, key=lambda one: -abs(one.added))[:MOST_INPUTS]) for side, some in found.items()}


def _named(columns: Mapping[str, tuple[str, ...]], data: Dataset, schema: Schema) -> list[_Named]:
    """Inputs that have words, of blocks that the draft has. Entries of vectors have none; the clock has three."""
    found = []
    for block, names in columns.items():
        if block in EMBEDDINGS or block in WIDE_BLOCKS or not data.blocks[block].present[-1]:
            continue
        known: dict[str, Column] = {column.name: column for column in schema[BLOCKS[block].table].columns}
        if block == "time":
            told = timestamp_features(data.created_at)
            for column, prefixes in _CLOCK.items():
                if own := tuple(name for name in names if name.startswith(prefixes)):
                    values = tuple(told[column].tolist())
                    found.append(_Named(block, column, own, known[column].description, values))
            continue
        for name in names:
            if name in known:
                values = tuple(data.blocks[block].values[:, data.blocks[block].columns.index(name)].tolist())
                found.append(_Named(block, name, (name,), known[name].description, values))
    return found


def _with_inputs_of_others(data: Dataset, inputs: Sequence[_Named]) -> Dataset:
    """The last post, for each input once for each of the others, with that input of theirs."""
    n = len(data) - 1
    drafts = mixed(data, np.full(n * len(inputs), n), {})
    changed = {}
    for name in {one.block for one in inputs}:
        values = drafts.blocks[name].values
        for place, one in enumerate(inputs):
            if one.block == name:
                at = [drafts.blocks[name].columns.index(column) for column in one.columns]
                values[place * n : (place + 1) * n, at] = data.blocks[name].values[:-1][:, at]
        changed[name] = Block(values, drafts.blocks[name].columns, drafts.blocks[name].present)
    return replace(drafts, blocks={**drafts.blocks, **changed})

"""The sides of a post, and posts put together from the sides of others.

People think of a post as a picture, a title, a time, somebody who posts it, where, and in what form. Every input of a
predictor belongs to one of these sides, as its family declares. What a side is worth to a predictor is found by
exchanging it: the picture of this post, under the title of that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import Block, Dataset

Side = Literal["picture", "title", "agreement", "time", "author", "form", "community"]

SIDES: Final[tuple[Side, ...]] = ("picture", "title", "agreement", "time", "author", "form", "community")
"""In the order in which they are shown. `agreement` is what follows from picture and title together."""

_OF_FAMILY: Final[Mapping[str, Side]] = {"time": "time", "author": "author", "flags": "form"}
_Rows: TypeAlias = "npt.NDArray[np.intp]"


def side_of(block: str, column: str) -> Side:
    """The side that an input belongs to; what is about the posts around it is the community's."""
    family = BLOCKS[block]
    of_picture, of_title = family.is_of("picture", column), family.is_of("caption", column)
    if of_picture and of_title:
        return "agreement"
    if of_picture:
        return "picture"
    return "title" if of_title else _OF_FAMILY.get(block, "community")


def sides_of(columns: Mapping[str, Sequence[str]], *, reads_captions: bool) -> tuple[Side, ...]:
    """The sides that some inputs belong to, in the order of `SIDES`.

    Args:
        columns: of a predictor, by block.
        reads_captions: whether it reads the words of titles besides.
    """
    found = {side_of(block, column) for block, names in columns.items() for column in names}
    if reads_captions:
        found.add("title")
    return tuple(side for side in SIDES if side in found)


def mixed(data: Dataset, posts: _Rows, sides: Mapping[Side, _Rows]) -> Dataset:
    """Posts put together from the sides of others, as far as columns tell.

    Args:
        data: n posts.
        posts: (m,) row numbers: whose sides these posts have, unless said otherwise.
        sides: side -> (m,) row numbers: whose that side is.

    Returns:
        m posts without labels, whose ids are numbers.
    """

    def rows(side: Side) -> _Rows:
        return sides.get(side, posts)

    blocks = {}
    for name, block in data.blocks.items():
        own = np.array([SIDES.index(side_of(name, column)) for column in block.columns])
        found = [SIDES[number] for number in np.unique(own)]
        if len(found) == 1:
            blocks[name] = block.take(rows(found[0]))
            continue
        # A block is there where the post has it to whom it belongs; what a side brings that has none is unknown.
        values, present = block.values[posts], block.present[posts]
        for side in found:
            if side in sides:
                of_side = own == SIDES.index(side)
                values[:, of_side] = block.values[rows(side)][:, of_side]
                present = present | block.present[rows(side)] if side in _BRING_THEIR_BLOCK else present
        values[~present] = np.nan
        blocks[name] = Block(values, block.columns, present)
    return replace(
        data,
        post_ids=tuple(str(number) for number in range(len(posts))),
        blocks=blocks,
        created_at=data.created_at[rows("time")],
        log_score=None,
        captions=tuple(data.captions[row] for row in rows("title")) if data.captions else (),
        authors=tuple(data.authors[row] for row in rows("author")) if data.authors else (),
    )


_BRING_THEIR_BLOCK: Final[frozenset[Side]] = frozenset({"picture", "title"})
"""A block of a picture and a title is there as soon as one of them has it."""

"""What a predictor learns from: the posts of one subreddit as named blocks of numbers, with or without labels.

numpy only. Reading the warehouse and choosing the split happen elsewhere; a `Dataset` never changes after it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.features.registry import BLOCKS

Floats: TypeAlias = "npt.NDArray[np.float32]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"

MOST_DEVIATIONS = 4.0
"""Bound of a standardised value."""

BLOCK_NAMES = tuple(BLOCKS)
"""Names of the blocks, in the order of the registry of families."""

EARLY = "early"
"""Block of what readings told by an age of the posts: of predictors that follow a post, and of no other."""

EMBEDDINGS = ("image", "caption")
"""Blocks that are vectors of a network; the others are tabular."""

WIDE_BLOCKS = ("image", "caption", "objects", "concepts")
"""Blocks of so many columns that systems which weigh single columns look at their components instead."""


_ROWS_CHECKED = 8_192


def vector_columns(name: str, width: int) -> list[str]:
    """Names of the columns of a vector in a block."""
    return [f"{name}_{position:0{len(str(width))}d}" for position in range(width)]


@dataclass(frozen=True, eq=False)
class Block:
    """One family of columns for n posts.

    Args:
        values: (n, d) float32. A post that lacks the block (no image, say) is a row of NaN; a single NaN in a present
            row is an unknown value; infinities are refused.
        columns: the d column names, unique, in the order of `values`.
        present: (n,) bool, whether the post has the block at all.

    Raises:
        ValueError: shapes, types or names do not fit together.
    """

    values: Floats
    columns: tuple[str, ...]
    present: Mask

    def __post_init__(self) -> None:
        values, columns, present = self.values, self.columns, self.present
        if values.ndim != 2 or values.dtype != np.float32:
            raise ValueError(f"block values must be (n, d) float32, not {values.shape} {values.dtype}")
        if present.shape != (len(values),) or present.dtype != np.bool_:
            raise ValueError(f"present must be ({len(values)},) bool, not {present.shape} {present.dtype}")
        if len(columns) != values.shape[1]:
            raise ValueError(f"{len(columns)} column names for {values.shape[1]} columns")
        if len(set(columns)) != len(columns):
            twice = sorted({name for name in columns if columns.count(name) > 1})
            raise ValueError(f"column names are not unique: {', '.join(twice[:5])}")
        absent, infinite = ~present, 0
        for start in range(0, len(values), _ROWS_CHECKED):
            rows = slice(start, start + _ROWS_CHECKED)
            if not np.isnan(values[rows][absent[rows]]).all():
                raise ValueError("rows that are not present must be NaN")
            infinite += int(np.isinf(values[rows]).sum())
        if infinite:
            raise ValueError(f"{infinite} infinite values")

    @classmethod
    def of(cls, features: Mapping[str, npt.NDArray[np.floating]], present: Mask | None = None) -> Self:
        """Columns side by side; those of a vector have its name and their position, as in `histogram_07`.

        Args:
            features: column -> (n,) or (n, k), at least one.
            present: (n,) posts that have the block; None for all.
        """
        parts: list[Floats] = []
        names: list[str] = []
        for name, given in features.items():
            values = np.asarray(given, dtype=np.float32)
            if values.ndim == 1:
                parts.append(values[:, None])
                names.append(name)
            else:
                parts.append(values)
                names.extend(vector_columns(name, values.shape[1]))
        present = np.ones(len(parts[0]), dtype=np.bool_) if present is None else present
        whole = bool(present.all())
        values = parts[0] if len(parts) == 1 and whole else np.concatenate(parts, axis=1)
        if not whole:
            values[~present] = np.nan
        return cls(values, tuple(names), present)

    @classmethod
    def gathered(
        cls, posts: int, parts: Iterable[tuple[npt.NDArray[np.int64], Mapping[str, npt.NDArray[np.floating]]]]
    ) -> Self:
        """Columns side by side, as of `of`, of which some rows are given at a time; only these are in memory twice.

        Args:
            posts: n.
            parts: at least one: the (m,) places of posts that have the block, and column -> (m,) or (m, k), the same
                columns of the same widths in all of them. Posts at no place lack the block.
        """
        present = np.zeros(posts, dtype=np.bool_)
        values: Floats | None = None
        names: list[str] = []
        for at, features in parts:
            widths = {name: None if given.ndim == 1 else given.shape[1] for name, given in features.items()}
            if values is None:
                for name, width in widths.items():
                    names += [name] if width is None else vector_columns(name, width)
                values = np.full((posts, len(names)), np.nan, dtype=np.float32)
            first = 0
            for name, given in features.items():
                behind = first + (1 if widths[name] is None else given.shape[1])
                values[at, first:behind] = given.reshape(len(at), behind - first)
                first = behind
            present[at] = True
        if values is None:
            raise ValueError("a block is gathered from one part at least")
        return cls(values, tuple(names), present)

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and deviation (d,) of each column's known values; 0 and 0 if there are none, deviation 0 if constant."""
        known = ~np.isnan(self.values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, self.values, 0).sum(axis=0, dtype=np.float64) / count
        deviation = np.sqrt((np.where(known, self.values - mean, 0) ** 2).sum(axis=0, dtype=np.float64) / count)
        return mean.astype(np.float32), np.where(deviation > 1e-6, deviation, 0).astype(np.float32)

    def standardised(self, mean: Floats, deviation: Floats) -> Floats:
        """(n, d) values in deviations from the mean, at most `MOST_DEVIATIONS` either way; 0 where unknown or constant.

        The bound keeps a value unlike all that was learnt from (a new month, a sudden crowd) from running a linear
        predictor off the scale.
        """
        scaled = (self.values - mean) / np.where(deviation > 0, deviation, np.inf)
        return np.clip(np.nan_to_num(scaled), -MOST_DEVIATIONS, MOST_DEVIATIONS).astype(np.float32)

    def pick(self, columns: tuple[str, ...]) -> Block:
        """Only these columns, in this order.

        Raises:
            ValueError: the block lacks one of them.
        """
        if columns == self.columns:
            return self
        place = {column: at for at, column in enumerate(self.columns)}
        if lacking := [column for column in columns if column not in place]:
            raise ValueError(f"the block lacks {len(lacking)} of the columns: {', '.join(lacking[:5])}")
        return Block(self.values[:, [place[column] for column in columns]], columns, self.present)

    def part(self, rows: slice) -> Block:
        """Neighbouring rows, as a view."""
        return Block(self.values[rows], self.columns, self.present[rows])

    def take(self, rows: npt.NDArray[np.intp]) -> Block:
        """The rows with these positions, in that order, as a copy."""
        return Block(self.values[rows], self.columns, self.present[rows])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Posts of one subreddit: n rows, one per post.

    Args:
        subreddit: name in lower case.
        post_ids: the n base36 ids, unique.
        blocks: block name -> Block of n rows; names are those of `BLOCK_NAMES`, and `EARLY`.
        created_at: (n,) datetime64[s], UTC.
        log_score: (n,) float32, sign(s) * ln(1 + |s|) of the matured score, or None where labels are unknown.
        captions: the n titles, for predictors that read words; empty where nobody gave them.
        authors: the n keyed hashes, None for an unknown one; likewise.
        elsewhere: (k,) float32 log scores of posts of other communities, none newer than those that are learnt from:
            what counts as much in general. Empty where there is no other community.

    Raises:
        ValueError: shapes, types or names do not fit together.
    """

    subreddit: str
    post_ids: tuple[str, ...]
    blocks: Mapping[str, Block]
    created_at: npt.NDArray[np.datetime64]
    log_score: Floats | None = None
    captions: tuple[str, ...] = ()
    authors: tuple[str | None, ...] = ()
    elsewhere: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def __post_init__(self) -> None:
        n = len(self.post_ids)
        if len(set(self.post_ids)) != n:
            raise ValueError(f"{n - len(set(self.post_ids))} post ids occur twice")
        if self.created_at.shape != (n,) or self.created_at.dtype != np.dtype("datetime64[s]"):
            raise ValueError(
                f"created_at must be ({n},) datetime64[s], not {self.created_at.shape} {self.created_at.dtype}"
            )
        if np.isnat(self.created_at).any():
            raise ValueError(f"{int(np.isnat(self.created_at).sum())} posts have no creation time")
        for name, block in self.blocks.items():
            if name not in (*BLOCK_NAMES, EARLY):
                raise ValueError(f"unknown block {name!r}; blocks are {', '.join(BLOCK_NAMES)}")
            if len(block.values) != n:
                raise ValueError(f"block {name} has {len(block.values)} rows for {n} posts")
        for name, given in (("captions", self.captions), ("authors", self.authors)):
            if given and len(given) != n:
                raise ValueError(f"{len(given)} {name} for {n} posts")
        if self.log_score is not None:
            if self.log_score.shape != (n,) or self.log_score.dtype != np.float32:
                raise ValueError(f"log_score must be ({n},) float32, not {self.log_score.shape} {self.log_score.dtype}")
            if not np.isfinite(self.log_score).all():
                raise ValueError(f"{int((~np.isfinite(self.log_score)).sum())} labels are not finite")
        object.__setattr__(self, "blocks", MappingProxyType(dict(self.blocks)))

    def __len__(self) -> int:
        return len(self.post_ids)

    @property
    def labels(self) -> Floats:
        """(n,) float32 log scores.

        Raises:
            ValueError: the dataset has none.
        """
        if self.log_score is None:
            raise ValueError(f"the {len(self)} posts of r/{self.subreddit} carry no labels")
        return self.log_score

    def select(self, mask: Mask) -> Dataset:
        """Keep the posts where `mask` (n,) bool is true; order is kept, arrays are copied.

        Raises:
            ValueError: the mask is not (n,) bool.
        """
        if mask.shape != (len(self),) or mask.dtype != np.bool_:
            raise ValueError(f"mask must be ({len(self)},) bool, not {mask.shape} {mask.dtype}")
        return self.take(np.flatnonzero(mask))

    def take(self, rows: npt.NDArray[np.intp]) -> Dataset:
        """The posts with these positions, in that order; arrays are copied.

        Raises:
            ValueError: a position occurs twice.
        """
        return Dataset(
            subreddit=self.subreddit,
            post_ids=tuple(self.post_ids[row] for row in rows),
            blocks={name: block.take(rows) for name, block in self.blocks.items()},
            created_at=self.created_at[rows],
            log_score=None if self.log_score is None else self.log_score[rows],
            captions=tuple(self.captions[row] for row in rows) if self.captions else (),
            authors=tuple(self.authors[row] for row in rows) if self.authors else (),
            elsewhere=self.elsewhere,
        )

    def newest(self, most: int) -> Dataset:
        """The latest posts, at most so many, in the order of time; arrays are copied."""
        return self.take(np.argsort(self.created_at, kind="stable")[-most:])

    def pick(self, columns: Mapping[str, tuple[str, ...]]) -> Dataset:
        """Only these blocks, with only these columns.

        Raises:
            KeyError, ValueError: a block or a column is missing.
        """
        return replace(self, blocks={name: self.blocks[name].pick(kept) for name, kept in columns.items()})

    def without(self, names: Iterable[str]) -> Dataset:
        """Leave whole blocks out, for an ablation.

        Raises:
            ValueError: the dataset does not have one of the blocks.
        """
        left_out = {names} if isinstance(names, str) else set(names)
        if unknown := left_out - set(self.blocks):
            raise ValueError(f"no block {', '.join(sorted(unknown))} to leave out; there are {', '.join(self.blocks)}")
        return replace(self, blocks={name: block for name, block in self.blocks.items() if name not in left_out})


def joined(parts: Sequence[Dataset], subreddit: str) -> Dataset:
    """The posts of several datasets as one, one after the other.

    Args:
        parts: at least one, with equal blocks and columns, no post in two of them; all with labels, or none.
        subreddit: what the result is called; else it is as the first part.

    Raises:
        ValueError: they do not fit together.
    """
    first = parts[0]
    columns, *others = ({name: block.columns for name, block in part.blocks.items()} for part in parts)
    if any(other != columns for other in others):
        raise ValueError("the parts have other blocks or columns")

    def whole(name: str) -> Block:
        blocks = [part.blocks[name] for part in parts]
        return Block(
            np.concatenate([block.values for block in blocks]),
            blocks[0].columns,
            np.concatenate([block.present for block in blocks]),
        )

    return replace(
        first,
        subreddit=subreddit,
        post_ids=tuple(post_id for part in parts for post_id in part.post_ids),
        blocks={name: whole(name) for name in first.blocks},
        created_at=np.concatenate([part.created_at for part in parts]),
        log_score=None if first.log_score is None else np.concatenate([part.labels for part in parts]),
        captions=tuple(caption for part in parts for caption in part.captions),
        authors=tuple(author for part in parts for author in part.authors),
    )

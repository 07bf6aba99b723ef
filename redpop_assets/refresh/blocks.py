"""From feature tables to the blocks of a `Dataset`: which table feeds which block, and what training may see of it.

The one place that both training and prediction go through, so that a column cannot mean two things.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import BLOCK_NAMES, EMBEDDINGS, Block, Dataset
from redpop_assets.storage.facts import AT_POSTING
from redpop_assets.storage.rows import Readable, Reader
from redpop_assets.storage.schema import Column, Schema, load_schema

_POSTS = "SELECT post_id, created_at, caption, author FROM core.posts AS p WHERE {where} ORDER BY post_id"
_CHOSEN = "p.post_id IN (SELECT post_id FROM chosen_posts)"


ROWS_AT_ONCE = 8_192
"""Posts of a block that are digested together: of one with 1,700 columns some 60 MB."""

OF_PICTURES = frozenset(name for name, family in BLOCKS.items() if family.needs_picture)
"""Blocks that a post without a picture lacks."""


def block_columns(block: str) -> tuple[Column, ...]:
    """Columns of the block's table that are inputs: numbers that were known when the post was made.

    What only became known after the post is refused here, whatever the table offers.
    """
    table = load_schema()[BLOCKS[block].table]
    return tuple(column for column in table.features if column.known_at in AT_POSTING)


def make_block(
    block: str, features: Mapping[str, npt.NDArray[np.float32]], present: npt.NDArray[np.bool_] | None = None
) -> Block:
    """Put the columns of one block side by side, in the order of its table.

    Args:
        block: name, as in `BLOCKS`.
        features: column -> (n,) or (n, k) float32; columns that are no inputs are left out.
        present: (n,) bool, posts that have the block; None for all.

    Raises:
        KeyError: a column of the table is missing in `features`.
    """
    return Block.of({column.name: features[column.name] for column in block_columns(block)}, present)


def read_dataset(
    warehouse: Reader | Readable,
    subreddit: str,
    encoders: Encoders,
    blocks: Iterable[str] = BLOCK_NAMES,
    chosen: Sequence[str] | None = None,
) -> Dataset:
    """Posts of a subreddit with some of their blocks, ordered by post id; labels are not part of it.

    All of them, or those with the `chosen` ids: memory grows with the posts that are read, by 4 bytes per column.

    A post whose picture is not stored, or has no vector of this encoder yet, lacks the blocks made of pictures. An
    encoder that never wrote a vector leaves its block without columns.
    """
    with nullcontext(warehouse) if isinstance(warehouse, Reader) else warehouse.read() as reader:
        only, given = ([], {}) if chosen is None else _of(chosen)
        params = {"subreddit": subreddit}
        posts = reader.query(_POSTS.format(where=" AND ".join(["p.subreddit = $subreddit", *only])), params, **given)
        post_ids = posts.column("post_id").to_pylist()
        read = dict(_read_blocks(reader, subreddit, post_ids, encoders, blocks, _widths(reader), only, given))
    return Dataset(
        subreddit=subreddit,
        post_ids=tuple(post_ids),
        blocks=read,
        created_at=posts.column("created_at").to_numpy().astype("datetime64[s]"),
        captions=tuple(caption[:LONGEST_CAPTION] for caption in posts.column("caption").to_pylist()),
        authors=tuple(posts.column("author").to_pylist()),
    )


def _of(post_ids: Sequence[str]) -> tuple[list[str], dict[str, pa.Table]]:
    """Conditions, and the tables that they name, for some posts."""
    return [_CHOSEN], {"chosen_posts": pa.table({"post_id": pa.array(post_ids, pa.string())})}


def _widths(reader: Reader) -> dict[tuple[str, str], int]:
    """(modality, encoder) -> length of its vectors, of the encoders that wrote any."""
    encoded = reader.query("SELECT encoder, modality, dimension FROM features.encoders").to_pylist()
    return {(row["modality"], row["encoder"]): row["dimension"] for row in encoded}


def _read_blocks(
    reader: Reader,
    subreddit: str,
    post_ids: Sequence[str],
    encoders: Encoders,
    blocks: Iterable[str],
    widths: Mapping[tuple[str, str], int],
    only: list[str],
    given: Mapping[str, pa.Table],
) -> Iterator[tuple[str, Block]]:
    """Blocks of some posts, whose rows are in the order of `post_ids`.

    `widths` are those of `_widths`, and `given` the tables that `only` names.
    """
    ids = pa.array(post_ids, pa.string())
    for block in blocks:
        width = widths.get((block, getattr(encoders, block)), 0) if block in EMBEDDINGS else None
        names = [column.name for column in block_columns(block)]
        batches = _rows(reader, BLOCKS[block], encoders, only, {"subreddit": subreddit}, given)
        yield block, Block.gathered(len(post_ids), (_part(batch, names, ids, width) for batch in batches))


def _part(
    batch: pa.RecordBatch, names: Sequence[str], ids: pa.Array, width: int | None
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.float32]]]:
    """The places of some posts among `ids`, and their columns."""
    at = pc.index_in(batch.column("post_id"), ids).to_numpy(zero_copy_only=False).astype(np.int64)
    return at, {name: _matrix(batch.column(name), width) for name in names}


def _rows(
    reader: Reader,
    family: Family,
    encoders: Encoders,
    only: list[str],
    params: Mapping[str, Any],
    given: Mapping[str, pa.Table],
) -> Iterator[pa.RecordBatch]:
    """The post ids and inputs of a family, of the posts that have them, some at a time; one batch at least."""
    condition, current = _current(reader.schema, family, encoders)
    columns = ", ".join(f"f.{column.name}" for column in block_columns(family.name))
    conditions = " AND ".join(["p.subreddit = $subreddit", *only, condition])
    sql = f"SELECT p.post_id, {columns} FROM core.posts AS p {join_of(family)} WHERE {conditions}"
    return reader.streamed(sql, {**params, **current}, **given)


def _current(schema: Schema, family: Family, encoders: Encoders) -> tuple[str, dict[str, str]]:
    """Condition for the rows of a family, alias `f`, that the present networks and code made, and its parameters."""
    current = family.named(encoders)
    if "code_version" in schema[family.table].column_names:
        current["code_version"] = family.version
    return " AND ".join(f"f.{column} = ${column}" for column in current) or "TRUE", current


def features_of_posts(
    schema: Schema, family: Family, encoders: Encoders, subreddit: str, columns: str
) -> tuple[str, dict[str, str]]:
    """A query over the posts of a community that have a family, and its parameters.

    Args:
        schema: of the warehouse.
        family: whose rows are alias `f`.
        encoders: networks whose rows count.
        subreddit: in lower case.
        columns: what is selected, of `f`, of `core.posts AS p` and of `models.training_set AS t`, NULL where the post
            is not in it.
    """
    condition, current = _current(schema, family, encoders)
    return (
        f"SELECT {columns} FROM core.posts AS p {join_of(family)} LEFT JOIN models.training_set AS t "
        f"ON t.post_id = p.post_id AND t.subreddit = $subreddit WHERE p.subreddit = $subreddit AND {condition}",
        {"subreddit": subreddit, **current},
    )


def join_of(family: Family) -> str:
    """SQL from `core.posts AS p` to the rows of a family, alias `f`."""
    pictures = "JOIN core.primary_images AS i USING (post_id) " if family.needs_picture else ""
    return f"{pictures}JOIN {family.table} AS f USING ({', '.join(family.keys)})"


def hashed_posts(
    schema: Schema, looks: Sequence[tuple[Encoders, Sequence[str]]], where: str
) -> tuple[str, dict[str, str]]:
    """SQL that tells by one hash per post whether anything changed that a look at it shows.

    A look is what a dataset of some blocks has of a post: its own columns in core.posts, and its rows in these blocks,
    vectors included. Each block is read once, whatever number of looks shares it; nothing leaves the engine but hashes.
    They are comparable between sessions of one release of DuckDB.

    Args:
        schema: of the warehouse.
        looks: networks, and names of blocks.
        where: condition for `core.posts AS p`.

    Returns:
        What follows the word WITH: the last table is `looks (look, post_id, subreddit, hash)`, look being the number of
        one from 0. And its parameters, besides those of `where`.
    """
    numbers: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    parts = [
        "posts AS MATERIALIZED (SELECT p.post_id, p.subreddit, hash(p.created_at, p.caption, p.author) AS hash "
        f"FROM core.posts AS p WHERE {where})"
    ]
    params: dict[str, str] = {}
    found = []
    for look, (encoders, blocks) in enumerate(looks):
        joins, hashes = "", "p.hash"
        for block in blocks:
            family = BLOCKS[block]
            key = block, tuple(family.named(encoders).items())
            if key not in numbers:
                number = numbers[key] = len(numbers)
                sql, own = _hashed_rows(schema, family, encoders, number)
                params |= own
                parts.append(f"block_{number} AS MATERIALIZED ({sql})")
            number = numbers[key]
            joins += f" LEFT JOIN block_{number} USING (post_id)"
            hashes += f", block_{number}.hash"
        found.append(f"SELECT {look} AS look, p.post_id, p.subreddit, hash({hashes}) AS hash FROM posts AS p{joins}")
    return ", ".join([*parts, f"looks AS ({' UNION ALL '.join(found)})"]), params


def _hashed_rows(schema: Schema, family: Family, encoders: Encoders, number: int) -> tuple[str, dict[str, str]]:
    """SQL for the hash of the inputs of a family, per post of `posts` that has them, and its parameters."""
    condition, current = _current(schema, family, encoders)
    for column in current:
        condition = condition.replace(f"${column}", f"${column}_{number}")
    if "subreddit" in schema[family.table].column_names:
        condition += " AND f.subreddit IN (SELECT subreddit FROM posts)"
    keys = ", ".join(family.keys)
    columns = ", ".join(column.name for column in block_columns(family.name))
    # Hashed before they are joined: vectors would be copied, and that costs more than to hash them.
    rows = f"SELECT {keys}, hash({columns}) AS hash FROM {family.table} AS f WHERE {condition}"
    own = "JOIN core.posts USING (post_id) " if "caption_sha256" in family.keys else ""
    picture = "JOIN core.primary_images AS i USING (post_id) " if family.needs_picture else ""
    return (
        f"SELECT p.post_id, f.hash FROM posts AS p {own}{picture}JOIN ({rows}) AS f USING ({keys})",
        {f"{column}_{number}": value for column, value in current.items()},
    )


def dataset_digest(data: Dataset) -> str:
    """SHA-256 over ids, times, captions, authors, columns, values and labels of a dataset, hexadecimal."""
    return _digest_of(_begun(data), sorted(data.blocks.items()), data)


@dataclass(frozen=True)
class Digested:
    """What is known of a block once all of it was read.

    Attributes:
        name: of the block.
        present: posts that have it.
        digest: what `dataset_digest` is of a dataset of the posts and labels with this block alone.
    """

    name: str
    present: int
    digest: str


def block_digests(
    reader: Reader, data: Dataset, encoders: Encoders, blocks: Iterable[str], *, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[Digested]:
    """Read some blocks, one after the other, and digest each. Memory is that of so many rows of one block.

    Args:
        reader: open warehouse.
        data: posts that there are, and their labels; its own blocks are not looked at.
        encoders: networks whose rows count.
        blocks: names, as in `BLOCKS`.
        rows_at_once: posts whose rows are read together.
    """
    begun = _begun(data)
    widths = _widths(reader)
    starts = range(0, max(len(data), 1), rows_at_once)
    for name in blocks:
        digest, present, without = begun.copy(), 0, 0
        columns: tuple[str, ...] = ()
        for start in starts:
            ids = data.post_ids[start : start + rows_at_once]
            [(_, block)] = _read_blocks(reader, data.subreddit, ids, encoders, [name], widths, *_of(ids))
            there = int(block.present.sum())
            # How long vectors are is seen in the first part in which a post has the block.
            if not present:
                columns = block.columns
                if there or start == starts[-1]:
                    _head(digest, name, columns)
                    for before in starts[:without]:
                        _add(digest, _nothing(len(data.post_ids[before : before + rows_at_once]), columns))
            if there:
                _add(digest, block.values)
            elif present or start == starts[-1]:
                _add(digest, _nothing(len(ids), columns))
            else:
                without += 1
            present += there
        yield Digested(name, present, _ended(digest, data))


def _nothing(rows: int, columns: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.full((rows, len(columns)), np.nan, dtype=np.float32)


def _begun(data: Dataset) -> "hashlib._Hash":
    digest = hashlib.sha256("\0".join((data.subreddit, *data.post_ids)).encode())
    digest.update(repr((data.captions, data.authors)).encode())
    digest.update(data.created_at.tobytes())
    return digest


def _digest_of(digest: "hashlib._Hash", blocks: Iterable[tuple[str, Block]], data: Dataset) -> str:
    for name, block in blocks:
        _head(digest, name, block.columns)
        _add(digest, block.values)
    return _ended(digest, data)


def _head(digest: "hashlib._Hash", name: str, columns: Sequence[str]) -> None:
    digest.update("\0".join((name, *columns)).encode())


def _add(digest: "hashlib._Hash", values: npt.NDArray[np.float32]) -> None:
    """Rows, in their order: in one piece or in several, the digest is the same."""
    digest.update(np.ascontiguousarray(values).ravel().data)


def _ended(digest: "hashlib._Hash", data: Dataset) -> str:
    if data.log_score is not None:
        digest.update(data.log_score.tobytes())
    return digest.hexdigest()


def _matrix(array: pa.Array, width: int | None) -> npt.NDArray[np.float32]:
    """(n,) or (n, k) float32 of a FLOAT, FLOAT[k] or FLOAT[] column.

    `width` is k where the type does not say it; None to take that of the rows, which is 0 if there are none.
    """
    if pa.types.is_floating(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float32)
    flat = np.asarray(array.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    if width is None:
        fixed = pa.types.is_fixed_size_list(array.type)
        width = array.type.list_size if fixed else len(flat) // max(len(array), 1)
    return flat.reshape(len(array), width)

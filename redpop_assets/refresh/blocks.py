"""From feature tables to the blocks of a `Dataset`: which table feeds which block, and what training may see of it.

The one place that both training and prediction go through, so that a column cannot mean two things.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.encoders import zero_shot
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.features import captions, class_families, emotions, entities, pixels, timestamps, visual
from redpop_assets.predictors.dataset import BLOCK_NAMES, EMBEDDINGS, Block, Dataset
from redpop_assets.storage.schema import Column, load_schema
from redpop_assets.storage.warehouse import Reader, Warehouse

if TYPE_CHECKING:
    from redpop_assets.settings import Settings


@dataclass(frozen=True)
class Source:
    """Where a block comes from.

    Attributes:
        table: Its table.
        key: Column that leads to it, `post_id`, `caption_sha256` or `image_sha256`; `pair` for both of the latter.
        version: Code version of the rows that count; None where a table has no other rows.
        networks: Columns that name a network, with the field of `Encoders` that says which one counts.
        view_of: The table behind it, if it is a view.
    """

    table: str
    key: str
    version: str | None = None
    networks: tuple[tuple[str, str], ...] = ()
    view_of: str | None = None

    @property
    def filled_table(self) -> str:
        """The table that is filled: its own, or the one behind a view."""
        return self.view_of or self.table

    @property
    def join(self) -> str:
        """SQL from `core.posts AS p` to the rows, alias `f`."""
        if self.key == "post_id" or self.key == "caption_sha256":
            return f"JOIN {self.table} AS f USING ({self.key})"
        keys = "image_sha256" if self.key == "image_sha256" else "caption_sha256, image_sha256"
        return f"JOIN core.primary_images AS i USING (post_id) JOIN {self.table} AS f USING ({keys})"


_BOTH_NETWORKS = (("image_encoder", "image"), ("caption_encoder", "caption"))

SOURCES: Mapping[str, Source] = {
    "image": Source("features.image_embeddings", "image_sha256", ENCODING_VERSION, (("encoder", "image"),)),
    "caption": Source("features.caption_embeddings", "caption_sha256", ENCODING_VERSION, (("encoder", "caption"),)),
    "text": Source("features.caption_features", "caption_sha256", captions.CODE_VERSION),
    "time": Source("features.timestamp_features", "post_id", timestamps.CODE_VERSION),
    "author": Source("features.author_features", "post_id"),
    "flags": Source("features.post_flags", "post_id"),
    "pixels": Source("features.image_features", "image_sha256", pixels.CODE_VERSION),
    "visual": Source("features.image_visual", "image_sha256", visual.CODE_VERSION),
    "objects": Source("features.image_objects", "image_sha256", class_families.CODE_VERSION, (("encoder", "objects"),)),
    "concepts": Source("features.image_concepts", "image_sha256", zero_shot.CODE_VERSION, (("encoder", "clip"),)),
    "agreement": Source("features.caption_image_agreement", "pair", zero_shot.CODE_VERSION, (("encoder", "clip"),)),
    "ratings": Source("features.image_ratings", "image_sha256", view_of="features.image_scores"),
    "entities": Source("features.caption_entities", "caption_sha256", entities.CODE_VERSION, (("model", "entities"),)),
    "emotions": Source("features.caption_emotions", "caption_sha256", emotions.CODE_VERSION, (("model", "emotions"),)),
    "novelty": Source("features.caption_novelty", "post_id"),
    "community": Source("features.community_features", "post_id"),
    "seen": Source("features.seen_before", "post_id"),
    "neighbours": Source("features.neighbours", "post_id", None, _BOTH_NETWORKS),
    "environment": Source("features.environments", "post_id", None, _BOTH_NETWORKS),
}
"""Block name -> where it is read from."""

TABLES: Mapping[str, str] = {block: source.table for block, source in SOURCES.items()}
"""Block name -> table it is read from."""

OF_PICTURES = frozenset(block for block, source in SOURCES.items() if source.key in {"image_sha256", "pair"})
"""Blocks that a post without a picture lacks."""

OF_CAPTIONS = frozenset(block for block, source in SOURCES.items() if source.key in {"caption_sha256", "pair"})
"""Blocks made of the caption."""

_POSTS = "SELECT post_id, created_at, caption, author FROM core.posts AS p WHERE {where} ORDER BY post_id"
_CHOSEN = "p.post_id IN (SELECT unnest($post_ids::VARCHAR[]))"


@dataclass(frozen=True)
class Encoders:
    """The networks whose outputs a dataset holds, by name; one that is not named leaves its blocks empty."""

    image: str
    caption: str
    clip: str = ""
    objects: str = ""
    entities: str = ""
    emotions: str = ""

    @classmethod
    def from_settings(cls, settings: "Settings") -> Self:
        """Those of a deployment."""
        return cls(
            image=settings.image_encoder,
            caption=settings.caption_encoder,
            clip=settings.clip,
            objects=settings.object_encoder,
            entities=settings.entity_model,
            emotions=settings.emotion_model,
        )

    def of(self, blocks: Iterable[str]) -> "Encoders":
        """Only those that made one of these blocks; the others are empty."""
        needed = {network for block in blocks for _, network in SOURCES[block].networks}
        return replace(self, **{field.name: "" for field in fields(self) if field.name not in needed})


def is_of_picture(block: str, column: str) -> bool:
    """Whether a column of a block follows from the post's own picture."""
    return block in OF_PICTURES or block == "seen" or (block == "neighbours" and column.startswith("image_"))


def is_of_caption(block: str, column: str) -> bool:
    """Whether a column of a block follows from the post's own caption."""
    return block in OF_CAPTIONS or block == "novelty" or (block == "neighbours" and column.startswith("caption_"))


def block_columns(block: str) -> tuple[Column, ...]:
    """Columns of the block's table that are inputs: numbers that were known when the post was made.

    What only became known after the post is refused here, whatever the table offers.
    """
    table = load_schema()[TABLES[block]]
    return tuple(
        column for column in table.columns if column.type.startswith("FLOAT") and column.known_at != "after_post"
    )


def make_block(
    block: str, features: Mapping[str, npt.NDArray[np.float32]], present: npt.NDArray[np.bool_] | None = None
) -> Block:
    """Put the columns of one block side by side, in the order of its table.

    Args:
        block: name, as in `TABLES`.
        features: column -> (n,) or (n, k) float32; columns that are no inputs are left out.
        present: (n,) bool, posts that have the block; None for all.

    Raises:
        KeyError: a column of the table is missing in `features`.
    """
    parts: list[npt.NDArray[np.float32]] = []
    names: list[str] = []
    for column in block_columns(block):
        values = np.asarray(features[column.name], dtype=np.float32)
        if values.ndim == 1:
            parts.append(values[:, None])
            names.append(column.name)
        else:
            parts.append(values)
            width = values.shape[1]
            names.extend(f"{column.name}_{position:0{len(str(width))}d}" for position in range(width))
    values = np.concatenate(parts, axis=1)
    present = np.ones(len(values), dtype=np.bool_) if present is None else present
    values[~present] = np.nan
    return Block(values, tuple(names), present)


def read_dataset(
    warehouse: Warehouse,
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
    with warehouse.read() as reader:
        only = [] if chosen is None else [_CHOSEN]
        params = {"subreddit": subreddit} | ({} if chosen is None else {"post_ids": list(chosen)})
        posts = reader.query(_POSTS.format(where=" AND ".join(["p.subreddit = $subreddit", *only])), params)
        encoded = reader.query("SELECT encoder, modality, dimension FROM features.encoders").to_pylist()
        rows = {block: _rows(reader, SOURCES[block], encoders, block, only, params) for block in blocks}
    widths = {(row["modality"], row["encoder"]): row["dimension"] for row in encoded}
    post_ids = posts.column("post_id").to_pylist()
    position = {post_id: index for index, post_id in enumerate(post_ids)}
    read = {}
    for block, table in rows.items():
        at = np.array([position[post_id] for post_id in table.column("post_id").to_pylist()], dtype=np.int64)
        present = np.zeros(len(post_ids), dtype=np.bool_)
        present[at] = True
        width = widths.get((block, getattr(encoders, block)), 0) if block in EMBEDDINGS else None
        features = {}
        for column in block_columns(block):
            found = _matrix(table.column(column.name), width)
            full = np.full((len(post_ids), *found.shape[1:]), np.nan, dtype=np.float32)
            full[at] = found
            features[column.name] = full
        read[block] = make_block(block, features, present)
    return Dataset(
        subreddit=subreddit,
        post_ids=tuple(post_ids),
        blocks=read,
        created_at=posts.column("created_at").to_numpy().astype("datetime64[s]"),
        captions=tuple(posts.column("caption").to_pylist()),
        authors=tuple(posts.column("author").to_pylist()),
    )


def _rows(
    reader: Reader, source: Source, encoders: Encoders, block: str, only: list[str], params: Mapping[str, Any]
) -> pa.Table:
    conditions = ["p.subreddit = $subreddit", *only]
    params = dict(params)
    if source.version is not None:
        conditions.append("f.code_version = $version")
        params["version"] = source.version
    for column, network in source.networks:
        conditions.append(f"f.{column} = ${network}")
        params[network] = getattr(encoders, network)
    columns = ", ".join(f"f.{column.name}" for column in block_columns(block))
    return reader.query(
        f"SELECT p.post_id, {columns} FROM core.posts AS p {source.join} WHERE {' AND '.join(conditions)}", params
    )


def dataset_digest(data: Dataset) -> str:
    """SHA-256 over ids, times, captions, authors, columns, values and labels of a dataset, hexadecimal."""
    digest = hashlib.sha256("\0".join((data.subreddit, *data.post_ids)).encode())
    digest.update(repr((data.captions, data.authors)).encode())
    digest.update(data.created_at.tobytes())
    for name in sorted(data.blocks):
        block = data.blocks[name]
        digest.update("\0".join((name, *block.columns)).encode())
        digest.update(np.ascontiguousarray(block.values).tobytes())
    if data.log_score is not None:
        digest.update(data.log_score.tobytes())
    return digest.hexdigest()


def _matrix(column: pa.ChunkedArray, width: int | None) -> npt.NDArray[np.float32]:
    """(n,) or (n, k) float32 of a FLOAT, FLOAT[k] or FLOAT[] column.

    `width` is k where the type does not say it; None to take that of the rows, which is 0 if there are none.
    """
    array = column.combine_chunks()
    if pa.types.is_floating(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float32)
    flat = np.asarray(array.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    if width is None:
        fixed = pa.types.is_fixed_size_list(array.type)
        width = array.type.list_size if fixed else len(flat) // max(len(array), 1)
    return flat.reshape(len(array), width)

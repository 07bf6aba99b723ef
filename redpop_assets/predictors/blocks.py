"""From feature tables to the blocks of a `Dataset`: which table feeds which block, and what training may see of it.

The one place that both training and prediction go through, so that a column cannot mean two things.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.features import captions, pixels, timestamps
from redpop_assets.predictors.dataset import EMBEDDINGS, Block, Dataset
from redpop_assets.storage.schema import Column, load_schema
from redpop_assets.storage.warehouse import Warehouse

TABLES: Mapping[str, str] = {
    "image": "features.image_embeddings",
    "caption": "features.caption_embeddings",
    "text": "features.caption_features",
    "time": "features.timestamp_features",
    "author": "features.author_features",
    "flags": "features.post_flags",
    "pixels": "features.image_features",
}
"""Block name -> table it is read from."""

HISTORY = """
SELECT
    p.post_id, p.author, p.created_at,
    l.log_score
FROM core.posts AS p
LEFT JOIN core.labels AS l ON l.post_id = p.post_id AND l.score_scale = (
    SELECT score_scale FROM core.labels WHERE subreddit = $subreddit GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1
)
WHERE p.subreddit = $subreddit ORDER BY p.post_id
"""
"""Posts of `$subreddit` with author and label: what author features are made of. Labels of one score scale only."""

_POSTS = """
SELECT post_id, created_at FROM core.posts WHERE subreddit = $subreddit ORDER BY post_id
"""
_PRIMARY_IMAGE = "JOIN core.primary_images AS i USING (post_id)"
# How each table is reached from core.posts AS p, and which version of its rows counts.
_JOINS: Mapping[str, str] = {
    "image": f"{_PRIMARY_IMAGE} JOIN features.image_embeddings AS f USING (image_sha256)",
    "caption": "JOIN features.caption_embeddings AS f USING (caption_sha256)",
    "text": "JOIN features.caption_features AS f USING (caption_sha256)",
    "time": "JOIN features.timestamp_features AS f USING (post_id)",
    "author": "JOIN features.author_features AS f USING (post_id)",
    "flags": "JOIN features.post_flags AS f USING (post_id)",
    "pixels": f"{_PRIMARY_IMAGE} JOIN features.image_features AS f USING (image_sha256)",
}
_VERSIONS: Mapping[str, str] = {
    "image": ENCODING_VERSION,
    "caption": ENCODING_VERSION,
    "text": captions.CODE_VERSION,
    "time": timestamps.CODE_VERSION,
    "pixels": pixels.CODE_VERSION,
}


@dataclass(frozen=True)
class Encoders:
    """The two encoders whose vectors a dataset holds, by name."""

    image: str
    caption: str

    def of(self, block: str) -> str:
        """The encoder behind an embedding block."""
        return self.image if block == "image" else self.caption


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


def read_dataset(warehouse: Warehouse, subreddit: str, encoders: Encoders) -> Dataset:
    """All posts of a subreddit with all their blocks, ordered by post id; labels are not part of it.

    A post whose picture is not stored, or has no vector of this encoder yet, lacks the blocks `image` and `pixels`. An
    encoder that never wrote a vector leaves its block without columns.
    """
    with warehouse.read() as reader:
        posts = reader.query(_POSTS, {"subreddit": subreddit})
        encoded = reader.query("SELECT encoder, modality, dimension FROM features.encoders").to_pylist()
        rows = {}
        for block, join in _JOINS.items():
            conditions = ["p.subreddit = $subreddit"]
            params = {"subreddit": subreddit}
            if block in _VERSIONS:
                conditions.append("f.code_version = $version")
                params["version"] = _VERSIONS[block]
            if block in EMBEDDINGS:
                conditions.append("f.encoder = $encoder")
                params["encoder"] = encoders.of(block)
            columns = ", ".join(f"f.{column.name}" for column in block_columns(block))
            rows[block] = reader.query(
                f"SELECT p.post_id, {columns} FROM core.posts AS p {join} WHERE {' AND '.join(conditions)}", params
            )
    widths = {(row["modality"], row["encoder"]): row["dimension"] for row in encoded}
    post_ids = posts.column("post_id").to_pylist()
    position = {post_id: index for index, post_id in enumerate(post_ids)}
    blocks = {}
    for block, table in rows.items():
        at = np.array([position[post_id] for post_id in table.column("post_id").to_pylist()], dtype=np.int64)
        present = np.zeros(len(post_ids), dtype=np.bool_)
        present[at] = True
        features = {}
        for column in block_columns(block):
            found = _matrix(
                table.column(column.name), widths.get((block, encoders.of(block)), 0) if block in EMBEDDINGS else None
            )
            full = np.full((len(post_ids), *found.shape[1:]), np.nan, dtype=np.float32)
            full[at] = found
            features[column.name] = full
        blocks[block] = make_block(block, features, present)
    return Dataset(
        subreddit=subreddit,
        post_ids=tuple(post_ids),
        blocks=blocks,
        created_at=posts.column("created_at").to_numpy().astype("datetime64[s]"),
    )


def dataset_digest(data: Dataset) -> str:
    """SHA-256 over ids, times, columns, values and labels of a dataset, hexadecimal."""
    digest = hashlib.sha256("\0".join((data.subreddit, *data.post_ids)).encode())
    digest.update(data.created_at.tobytes())
    for name in sorted(data.blocks):
        block = data.blocks[name]
        digest.update("\0".join((name, *block.columns)).encode())
        digest.update(np.ascontiguousarray(block.values).tobytes())
    if data.log_score is not None:
        digest.update(data.log_score.tobytes())
    return digest.hexdigest()


def _matrix(column: pa.ChunkedArray, width: int | None) -> npt.NDArray[np.float32]:
    """(n,) or (n, k) float32 of a FLOAT, FLOAT[k] or FLOAT[] column; `width` is k where the type does not say it."""
    array = column.combine_chunks()
    if pa.types.is_floating(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float32)
    width = array.type.list_size if width is None else width
    return np.asarray(array.flatten().to_numpy(zero_copy_only=False), dtype=np.float32).reshape(len(array), width)

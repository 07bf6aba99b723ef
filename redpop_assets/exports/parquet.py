"""Export as Parquet: one file per community, one row per post, with what every column means in the file itself."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from redpop_assets.exports.posts import Column, PublishedPosts, Selection

ROW_GROUP: Final = 10_000
"""Posts of a row group: what is in memory at a time."""


def write_parquet(
    posts: PublishedPosts, subreddit: str, selection: Selection, folder: Path, on_progress: Callable[[int], None]
) -> tuple[int, Mapping[str, int]]:
    """Write `<subreddit>.parquet`; returns the posts written, and none left out.

    The metadata of each field says `comment`, `source` (table and column of the warehouse) and, where it has one,
    `known_at`; the same stands as JSON in the metadata of the file, under `redpop.columns`, for readers that know no
    Arrow. `on_progress` is told how many posts are done.
    """
    reader = posts.read(subreddit, selection, batch_size=ROW_GROUP)
    schema = _described(reader.schema, posts.columns(selection))
    done = 0
    with pq.ParquetWriter(folder / f"{subreddit}.parquet", schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch.cast(schema), row_group_size=ROW_GROUP)
            done += batch.num_rows
            on_progress(done)
    return done, {}


def _described(schema: pa.Schema, columns: tuple[Column, ...]) -> pa.Schema:
    described = {
        column.name: {
            "comment": column.description,
            "source": column.source,
            **({"known_at": column.known_at} if column.known_at else {}),
        }
        for column in columns
    }
    fields = [field.with_metadata(described[field.name]) for field in schema]
    return pa.schema(fields, metadata={"redpop.columns": json.dumps(described, ensure_ascii=False)})

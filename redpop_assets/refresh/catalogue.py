"""Keeps marts.feature_catalogue up to date: every feature of every community with a training set, block by block.

How a feature is described and measured belongs into `redpop_assets.evaluation.catalogue`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from redpop_assets.evaluation.bootstrap import author_clusters
from redpop_assets.evaluation.catalogue import CODE_VERSION, feature_catalogue
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.feature_catalogue"

_SNAPSHOTS = (
    "SELECT subreddit, any_value(snapshot) AS snapshot FROM models.training_set GROUP BY ALL ORDER BY subreddit"
)
_LABELLED = """
SELECT post_id, cluster, duplicate_group, log_score FROM models.training_set WHERE subreddit = $subreddit
"""


def refresh_catalogue(
    warehouse: Warehouse, encoders: Encoders, *, seed: int, progress: Callable[[str], None]
) -> tuple[list[dict[str, Any]], int]:
    """Measure the features of every community whose training set changed since, and store marts.feature_catalogue.

    The snapshot of a training set is a digest of all features of its posts, so nothing else has to be looked at: a
    community that learnt nothing new keeps its rows, and is as quick as one query. A block is in memory at a time.

    Args:
        warehouse: where features, labels and the catalogue are.
        encoders: networks whose features count.
        seed: of the bootstrap.
        progress: told of each community that was measured.

    Returns:
        All rows of the catalogue, and the number of communities that were measured.
    """
    version = _metrics_version(warehouse.schema, seed)
    known: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in warehouse.query(f"SELECT * FROM {TABLE} ORDER BY ALL").to_pylist():
        known[row["subreddit"], row["snapshot"], row["metrics_version"]].append(row)
    rows: list[dict[str, Any]] = []
    measured = 0
    for subreddit, snapshot in ((row["subreddit"], row["snapshot"]) for row in warehouse.query(_SNAPSHOTS).to_pylist()):
        found = known.get((subreddit, snapshot, version))
        if found is None:
            same = {"snapshot": snapshot, "metrics_version": version}
            found = [{**row, **same} for row in _measure(warehouse, subreddit, encoders, seed)]
            measured += 1
            progress(f"{len(found)} features of r/{subreddit} measured")
        rows += found
    with warehouse.write() as writer:
        empty = writer.query(f"SELECT * FROM {TABLE} LIMIT 0")
        writer.replace(TABLE, pa.Table.from_pylist(rows, schema=empty.schema), "TRUE")
    return warehouse.query(f"SELECT * FROM {TABLE} ORDER BY ALL").to_pylist(), measured


def _measure(warehouse: Warehouse, subreddit: str, encoders: Encoders, seed: int) -> list[dict[str, Any]]:
    """The rows of a community."""
    labelled = {row["post_id"]: row for row in warehouse.query(_LABELLED, {"subreddit": subreddit}).to_pylist()}
    tried = sum(column.is_feature for family in BLOCKS.values() for column in warehouse.schema[family.table].columns)
    rows: list[dict[str, Any]] = []
    tables = {name: family.table for name, family in BLOCKS.items()}
    for name in BLOCKS:
        # Another run may clean posts meanwhile, so each block brings its own.
        data = read_dataset(warehouse, subreddit, encoders, [name])
        labels = [labelled[post]["log_score"] if post in labelled else np.nan for post in data.post_ids]
        rows += feature_catalogue(
            subreddit,
            data.blocks,
            np.array(labels, dtype=np.float64),
            author_clusters(_of(labelled, data.post_ids, "cluster")),
            warehouse.schema,
            tables,
            groups=author_clusters(_of(labelled, data.post_ids, "duplicate_group")),
            tried=tried,
            seed=seed,
        ).to_pylist()
    return rows


def _of(labelled: Mapping[str, Mapping[str, Any]], post_ids: Sequence[str], column: str) -> list[str]:
    """A column of the training set, one value per post; posts without a label stand for themselves."""
    return [labelled[post][column] if post in labelled else post for post in post_ids]


def _metrics_version(schema: Schema, seed: int) -> str:
    """What the rows of a community depend on besides its training set."""
    definitions = "\0".join(schema[family.table].ddl for family in BLOCKS.values())
    return f"{CODE_VERSION}-{seed}-{hashlib.sha256(definitions.encode()).hexdigest()[:8]}"

"""Keeps marts.feature_catalogue up to date: every feature of every community with a training set, block by block.

How a feature is described and measured belongs into `redpop_assets.evaluation.catalogue`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.evaluation.bootstrap import author_clusters
from redpop_assets.evaluation.catalogue import feature_catalogue
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.snapshot import Snapshot
from redpop_assets.refresh.training_set import training_sets
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.feature_catalogue"

_KEPT = {"snapshot": "training set", "metrics_version": ("code", "seed", "definitions")}
_LABELLED = """
SELECT post_id, cluster, duplicate_group, log_score FROM models.training_set WHERE subreddit = $subreddit
"""


def refresh_catalogue(
    warehouse: Warehouse, encoders: Encoders, *, seed: int, progress: Callable[[str], None]
) -> tuple[list[dict[str, Any]], int]:
    """Measure the features of every community whose training set changed since, and store marts.feature_catalogue.

    The snapshot of a training set is a digest of all features of its posts, so nothing else has to be looked at: a
    community that learnt nothing new keeps its numbers, and is as quick as one query. A block is in memory at a time.

    Args:
        warehouse: where features, labels and the catalogue are.
        encoders: networks whose features count.
        seed: of the bootstrap.
        progress: told of each community that was measured.

    Returns:
        All rows of the catalogue, and the number of communities that were measured.
    """
    stored: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in warehouse.query(f"SELECT * FROM {TABLE} ORDER BY ALL").to_pylist():
        stored[row["subreddit"]].append(row)
    rows: list[dict[str, Any]] = []
    measured = 0
    definitions = _definitions(warehouse.schema)
    for subreddit, snapshot in training_sets(warehouse).items():
        parts = {"code": versions.CATALOGUE, "seed": seed, "definitions": definitions, "training set": snapshot}
        made_from = Snapshot(parts, _KEPT)
        found = stored[subreddit]
        if not found or not all(map(made_from.is_of, found)):
            why = made_from.because(found[0] if found else None)
            found = [{**row, **made_from.columns} for row in _measure(warehouse, subreddit, encoders, seed)]
            measured += 1
            progress(f"{len(found)} features of r/{subreddit} measured because {why}")
        rows += [{**row, **_words(warehouse.schema, row)} for row in found]
    with warehouse.write() as writer:
        empty = writer.query(f"SELECT * FROM {TABLE} LIMIT 0")
        writer.replace(TABLE, pa.Table.from_pylist(rows, schema=empty.schema), "TRUE")
    return warehouse.query(f"SELECT * FROM {TABLE} ORDER BY ALL").to_pylist(), measured


def _measure(warehouse: Warehouse, subreddit: str, encoders: Encoders, seed: int) -> list[dict[str, Any]]:
    """The rows of a community."""
    labelled = {row["post_id"]: row for row in warehouse.query(_LABELLED, {"subreddit": subreddit}).to_pylist()}
    tried = sum(len(warehouse.schema[family.table].features) for family in BLOCKS.values())
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


def _definitions(schema: Schema) -> str:
    """Digest of what the numbers depend on in the definitions of all features; the words of comments are none of it."""
    facts = [
        (family.table, column.name, column.type, column.known_at, column.missing)
        for family in BLOCKS.values()
        for column in schema[family.table].features
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:8]


def _words(schema: Schema, row: Mapping[str, Any]) -> dict[str, str | None]:
    """What the schema says of a feature now; it may have been reworded since the feature was measured."""
    column = next(column for column in schema[row["table_name"]].features if column.name == row["feature"])
    return {"description": column.description, "unit": column.unit, "source": column.source}

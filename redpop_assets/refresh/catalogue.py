"""Keeps marts.feature_catalogue up to date: every feature of every community with a training set, block by block.

How a feature is described and measured belongs into `redpop_assets.evaluation.catalogue`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets import versions
from redpop_assets.evaluation.bootstrap import author_clusters
from redpop_assets.evaluation.catalogue import feature_catalogue, ranked_in_block
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import EMBEDDINGS
from redpop_assets.refresh.blocks import block_columns, features_of_posts, read_dataset
from redpop_assets.refresh.snapshot import Snapshot, digest
from redpop_assets.refresh.training_set import training_sets
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.feature_catalogue"

_KEPT = {"snapshot": "training set", "metrics_version": ("code", "seed", "definitions")}
_LABELLED = """
SELECT post_id, cluster, duplicate_group, log_score FROM models.training_set
WHERE subreddit = $subreddit ORDER BY post_id
"""
_LABELS = """
SELECT count(*) || '-' || sum(hash(post_id, cluster, duplicate_group, log_score)::HUGEINT)
FROM models.training_set WHERE subreddit = $subreddit
"""
_MEASURED = ("spearman", "spearman_low", "spearman_high", "leakage", "suspicious_above", "labelled_posts")
"""Columns that follow from what `inputs` is a digest of."""


def refresh_catalogue(
    warehouse: Warehouse, encoders: Encoders, *, seed: int, progress: Callable[[str], None]
) -> tuple[list[dict[str, Any]], int]:
    """Measure the features of every community whose training set changed since, and store marts.feature_catalogue.

    The snapshot of a training set is a digest of all features of its posts, so nothing else has to be looked at: a
    community that learnt nothing new costs nothing but its share of one query. Where the set changed, each column is
    hashed inside DuckDB, and only those that are not what they were are measured. A new labelled post changes all of
    them: that grows with the posts of the set, which the deployment bounds, times their columns. Values are read of the
    posts of the set, a block at a time; of the others they are only counted.

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
    measured = 0
    definitions = _definitions(warehouse.schema)
    snapshots = training_sets(warehouse)
    changed: dict[str, list[dict[str, Any]]] = {}
    for subreddit, snapshot in snapshots.items():
        parts = {"code": versions.CATALOGUE, "seed": seed, "definitions": definitions, "training set": snapshot}
        made_from = Snapshot(parts, _KEPT)
        found = stored[subreddit]
        if not found or not all(map(made_from.is_of, found)):
            why = made_from.because(found[0] if found else None)
            found = [{**row, **made_from.columns} for row in _measure(warehouse, subreddit, encoders, seed, found)]
            measured += 1
            progress(f"{len(found)} features of r/{subreddit} measured because {why}")
        found = [{**row, **_words(warehouse.schema, row)} for row in found]
        if found != stored[subreddit]:
            changed[subreddit] = found
    gone = stored.keys() - snapshots.keys()
    if changed or gone:
        rows = [row for found in changed.values() for row in found]
        with warehouse.write() as writer:
            empty = writer.query(f"SELECT * FROM {TABLE} LIMIT 0")
            which = {"subreddits": [*changed, *gone]}
            table = pa.Table.from_pylist(rows, schema=empty.schema)
            writer.replace(TABLE, table, "list_contains($subreddits, subreddit)", which)
    return warehouse.query(f"SELECT * FROM {TABLE} ORDER BY ALL").to_pylist(), measured


def _measure(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, seed: int, stored: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of a community; those of columns that are what they were keep their numbers."""
    scope = {"subreddit": subreddit}
    with warehouse.read() as reader:
        labelled = reader.query(_LABELLED, scope)
        labels = reader.scalar(_LABELS, scope)
        posts = reader.scalar("SELECT count(*) FROM core.posts WHERE subreddit = $subreddit", scope)
        columns_of = {name: _columns(reader, subreddit, name, encoders, posts) for name in BLOCKS}
    tried = sum(len(warehouse.schema[family.table].features) for family in BLOCKS.values())
    common = (versions.CATALOGUE, seed, tried, labels)
    known = {(row["block"], row["feature"]): row for row in stored}
    rows: list[dict[str, Any]] = []
    for name, columns in columns_of.items():
        made_from = {feature: digest(*common, *column.measured) for feature, column in columns.items()}
        kept = {
            feature: row
            for feature, inputs in made_from.items()
            if (row := known.get((name, feature))) is not None and row["inputs"] == inputs
        }
        found = (
            [dict(kept[feature]) for feature in columns]
            if len(kept) == len(columns)
            else _measure_block(warehouse, subreddit, name, encoders, labelled, tried, seed, kept.keys())
        )
        for row in found:
            feature = row["feature"]
            if feature in kept:
                row |= {column: kept[feature][column] for column in _MEASURED}
            row |= {**columns[feature].counts, "inputs": made_from[feature]}
        rows += ranked_in_block(found)
    return rows


def _measure_block(
    warehouse: Warehouse,
    subreddit: str,
    name: str,
    encoders: Encoders,
    labelled: pa.Table,
    tried: int,
    seed: int,
    kept: Collection[str],
) -> list[dict[str, Any]]:
    """The rows of one block, those of columns that are kept without their numbers."""
    with warehouse.read() as reader, reader.sparing():
        data = read_dataset(reader, subreddit, encoders, [name], labelled.column("post_id").to_pylist())
    # Another run may take posts away meanwhile.
    there = labelled.filter(pc.is_in(labelled.column("post_id"), pa.array(data.post_ids, pa.string())))
    clusters, groups = (author_clusters(there.column(column).to_pylist()) for column in ("cluster", "duplicate_group"))
    rows: list[dict[str, Any]] = feature_catalogue(
        subreddit,
        data.blocks,
        there.column("log_score").to_numpy(),
        clusters,
        warehouse.schema,
        {name: BLOCKS[name].table},
        groups=groups,
        tried=tried,
        seed=seed,
        leave_out=kept,
    ).to_pylist()
    return rows


@dataclass(frozen=True)
class _Column:
    """A feature of a community as it is.

    Attributes:
        measured: What its numbers depend on besides the labels: its facts, and a digest of its values.
        counts: Columns of the catalogue that count all posts, labelled or not.
    """

    measured: tuple[object, ...]
    counts: Mapping[str, int | float | None]


def _columns(reader: Reader, subreddit: str, block: str, encoders: Encoders, posts: int) -> dict[str, _Column]:
    """Feature -> what is known of it without reading it, in the order of the table of its block.

    `posts` is how many the community has.
    """
    family = BLOCKS[block]
    features = reader.schema[family.table].features
    offered = {column.name for column in block_columns(block)}
    asked = [column for column in features if column.name in offered]
    parts = ["count(*)"]
    for column in asked:
        value = f"f.{column.name}"
        known = f"{value} IS NOT NULL AND NOT isnan({value})"
        if column.type != "FLOAT":
            known = f"NOT list_contains({value}::FLOAT[], 'nan'::FLOAT)"
        seen = value
        if column.missing is not None and column.missing.flag in offered:
            known += f" AND f.{column.missing.flag} IS DISTINCT FROM {column.missing.value}"
            seen += f", f.{column.missing.flag}"
        parts += [
            f"count(*) FILTER ({known})",
            f"coalesce(sum(hash(p.post_id, {seen})::HUGEINT) FILTER (t.post_id IS NOT NULL), 0)::VARCHAR",
        ]
    there, *values = (
        reader.query(*features_of_posts(reader.schema, family, encoders, subreddit, ", ".join(parts)))
        .to_pylist()[0]
        .values()
    )
    empty = block in EMBEDDINGS and not reader.scalar(
        "SELECT count(*) FROM features.encoders WHERE modality = $block AND encoder = $encoder",
        {"block": block, "encoder": getattr(encoders, block)},
    )
    found: dict[str, _Column] = {}
    for column in features:
        facts = (column.name, column.type, column.known_at, column.missing)
        if column.name not in offered or (column.type == "FLOAT[]" and (empty or not there)):
            found[column.name] = _Column(facts, {"posts": 0, "missing_share": None})
            continue
        number = asked.index(column)
        known, of_values = values[2 * number : 2 * number + 2]
        share = 1.0 - known / posts if posts else None
        found[column.name] = _Column((*facts, of_values), {"posts": known, "missing_share": share})
    return found


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

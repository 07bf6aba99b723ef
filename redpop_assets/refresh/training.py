"""Training in one subreddit: its labelled posts in the one shared split, and each predictor kept up to date."""

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.evaluation.splits import time_split
from redpop_assets.predictors.base import Progress
from redpop_assets.predictors.dataset import BLOCK_NAMES, Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.blocks import TABLES, Encoders, block_columns, dataset_digest, read_dataset
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

# Labels of one score scale only, that of most labels: scores before and after December 2016 never meet.
_LABELLED = """
WITH newest AS (
    SELECT p.post_id, p.created_at, p.author, l.log_score
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    WHERE p.subreddit = $subreddit AND l.score_scale = (
        SELECT score_scale FROM core.labels WHERE subreddit = $subreddit GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1
    )
    ORDER BY p.created_at DESC, p.post_id DESC
    LIMIT $most
)
SELECT
    p.post_id,
    p.created_at,
    coalesce(p.author, p.post_id) AS cluster,
    -- Named after its first post in this subreddit: another community must not rename it.
    min(p.post_id) OVER (PARTITION BY coalesce(d.duplicate_group, p.post_id)) AS duplicate_group,
    p.log_score
FROM newest AS p
LEFT JOIN core.duplicates AS d USING (post_id)
ORDER BY p.post_id
"""
# What was known elsewhere when the newest post to learn from was made, on the same score scale.
_ELSEWHERE = """
SELECT t.log_score
FROM models.training_set AS t
JOIN core.labels AS l USING (post_id)
WHERE t.subreddit <> $subreddit
    AND t.split = 'train'
    AND t.created_at <= (
        SELECT max(own.created_at) FROM models.training_set AS own
        WHERE own.subreddit = $subreddit AND own.split = 'train'
    )
    AND l.score_scale = (
        SELECT any_value(score_scale)
        FROM models.training_set AS own JOIN core.labels USING (post_id)
        WHERE own.subreddit = $subreddit
    )
ORDER BY t.post_id
"""


NETWORK_COLUMNS: Mapping[str, str] = {
    "image": "image_encoder",
    "caption": "caption_encoder",
    "clip": "clip_encoder",
    "objects": "object_encoder",
    "entities": "entity_model",
    "emotions": "emotion_model",
}
"""Field of `Encoders` -> column of models.predictors."""

VALIDATION = "models.validation_predictions"
OF_MODEL = ("subreddit", "predictor", "digest")


@dataclass(frozen=True)
class TrainingSet:
    """Rows for models.training_set and models.training_columns, and the snapshot they share."""

    rows: pa.Table
    columns: pa.Table
    snapshot: str


def build_training_set(
    warehouse: Warehouse,
    subreddit: str,
    encoders: Encoders,
    *,
    label_age: timedelta,
    test_share: float,
    validation_share: float,
    most: int,
) -> TrainingSet:
    """Split the labelled posts by time, of many the newest `most`, and digest them with all their features.

    Posts of one picture never straddle the parts; a label counts as known from the label age on, whenever it was read.
    """
    labelled = warehouse.query(_LABELLED, {"subreddit": subreddit, "most": most})
    created_at = labelled.column("created_at").to_numpy().astype("datetime64[s]")
    post_ids = labelled.column("post_id").to_pylist()
    try:
        split = time_split(
            created_at,
            created_at + np.timedelta64(label_age),
            labelled.column("duplicate_group").to_pylist(),
            test_share=test_share,
            validation_share=validation_share,
        )
    except NotTrainable:
        # No past to learn from yet: the predictors then find no validation part and say so.
        split = np.full(len(post_ids), "train")
    digests, columns = [], []
    with warehouse.read():
        for block in BLOCK_NAMES:  # one at a time: all of them together may be larger than memory
            data = _read_labelled(warehouse, subreddit, encoders, [block], labelled)
            digests.append(dataset_digest(data))
            columns += _column_rows(subreddit, block, int(data.blocks[block].present.sum()))
    snapshot = _snapshot(digests, encoders, labelled, split)
    n = len(post_ids)
    rows = labelled.append_column("subreddit", pa.array([subreddit] * n, pa.string()))
    rows = rows.append_column("split", pa.array(split.tolist(), pa.string()))
    rows = rows.append_column("snapshot", pa.array([snapshot] * n, pa.string()))
    return TrainingSet(rows, pa.Table.from_pylist(columns), snapshot)


def _read_labelled(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str], labelled: pa.Table
) -> Dataset:
    """Some blocks of the posts of a table with post_id and log_score, ordered by post id, and these labels."""
    data = read_dataset(warehouse, subreddit, encoders, blocks, labelled.column("post_id").to_pylist())
    return replace(data, log_score=labelled.column("log_score").to_numpy().astype(np.float32))


def read_parts(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str] = BLOCK_NAMES
) -> tuple[Dataset, Dataset]:
    """The train and the validation part of the stored training set, with some of the blocks."""
    data, split = read_split(warehouse, subreddit, encoders, blocks)
    return data.select(split == "train"), data.select(split == "validation")


def read_split(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str] = BLOCK_NAMES
) -> tuple[Dataset, npt.NDArray[np.str_]]:
    """The whole stored training set with some of the blocks, ordered by post id, and the (n,) part of each post."""
    with warehouse.read() as reader:
        stored = reader.query(
            "SELECT post_id, log_score, split FROM models.training_set WHERE subreddit = $subreddit ORDER BY post_id",
            {"subreddit": subreddit},
        )
        elsewhere = reader.query(_ELSEWHERE, {"subreddit": subreddit}).column("log_score").to_numpy()
        data = _read_labelled(warehouse, subreddit, encoders, blocks, stored)
    data = replace(data, elsewhere=elsewhere.astype(np.float32))
    return data, np.array(stored.column("split").to_pylist(), dtype=np.str_)


def _snapshot(digests: list[str], encoders: Encoders, labelled: pa.Table, split: npt.NDArray[np.str_]) -> str:
    parts = [*digests, *astuple(encoders), *split.tolist()]
    # The intervals of the leaderboard depend on them.
    parts += [*labelled.column("cluster").to_pylist(), *labelled.column("duplicate_group").to_pylist()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _column_rows(subreddit: str, block: str, present_rows: int) -> list[dict[str, Any]]:
    return [
        {
            "subreddit": subreddit,
            "block": block,
            "column_name": column.name,
            "source_table": TABLES[block],
            "known_at": column.known_at,
            "present_rows": present_rows,
        }
        for column in block_columns(block)
    ]


@dataclass(frozen=True)
class PredictorState:
    """One row of models.predictors; `trained_now` tells whether this call made it."""

    row: dict[str, Any]
    trained_now: bool


def refresh_predictor(
    name: str,
    subreddit: str,
    warehouse: Warehouse,
    models: ModelStore,
    encoders: Encoders,
    *,
    seed: int,
    progress: Progress | None = None,
) -> PredictorState:
    """Train a predictor unless it has been trained on this snapshot with this code and seed; record the outcome.

    What cannot be trained, for want of posts or of a block, is recorded as not trained with the reason.
    """
    kind = predictor_class(name)
    scope = {"subreddit": subreddit}
    with warehouse.read() as reader:
        snapshot = reader.scalar(
            "SELECT any_value(snapshot) FROM models.training_set WHERE subreddit = $subreddit", scope
        )
        found = reader.query(
            "SELECT * FROM models.predictors WHERE subreddit = $subreddit AND predictor = $predictor",
            {**scope, "predictor": name},
        ).to_pylist()
    calibrated = bool(found) and (found[0]["digest"] is None or bool(len(held_out_residuals(warehouse, found[0])[0])))
    if calibrated and _is_current(found[0], snapshot or "", kind.code_version, seed, models):
        return PredictorState(found[0], trained_now=False)

    train, validation = read_parts(warehouse, subreddit, encoders, sorted(kind.uses))
    predictor = kind(seed=seed, progress=progress)
    began = time.perf_counter()
    digest: str | None = None
    reason: str | None = None
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held_out: dict[str, float] = {}
    try:
        report = predictor.fit(train, validation)
    except NotTrainable as error:
        reason = str(error)
    else:
        blocks, notes = report.blocks, report.notes
        held_out = dict(zip(validation.post_ids, report.validation_prediction.tolist(), strict=True))
        with models.new(subreddit, name) as model:
            predictor.save(model.folder)
        digest = model.digest
    used = encoders.of(blocks)
    row: dict[str, Any] = {
        "subreddit": subreddit,
        "predictor": name,
        "status": "not_trained" if digest is None else "trained",
        "reason": reason,
        "snapshot": snapshot or "",
        "code_version": kind.code_version,
        "seed": seed,
        "digest": digest,
        "blocks": list(blocks),
        "notes": list(notes),
        **{column: getattr(used, network) or None for network, column in NETWORK_COLUMNS.items()},
        "untrained_weights": _any_random(warehouse, used, "ratings" in blocks),
        "train_rows": len(train),
        "validation_rows": len(validation),
        "train_seconds": time.perf_counter() - began,
        "trained_at": utc_now(),
    }
    with warehouse.write() as writer:
        writer.merge("models.predictors", arrow_table({column: [value] for column, value in row.items()}))
        writer.replace(
            VALIDATION,
            arrow_table(
                {
                    "post_id": pa.array(held_out.keys(), pa.string()),
                    **{column: pa.array([row[column]] * len(held_out), pa.string()) for column in OF_MODEL},
                    "expected_log_score": pa.array(held_out.values(), pa.float64()),
                }
            ),
            "subreddit = $subreddit AND predictor = $predictor",
            {**scope, "predictor": name},
        )
    return PredictorState(row, trained_now=True)


def encoders_of(model: Mapping[str, Any]) -> Encoders:
    """The networks that a predictor looks through, from its row of models.predictors.

    One that it does not use may as well be none: its block stays empty.
    """
    return Encoders(**{network: model[column] or "" for network, column in NETWORK_COLUMNS.items()})


def held_out_residuals(
    warehouse: Warehouse, model: Mapping[str, Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What a model expected of posts that it had not been fitted on, and what came: two (n,) arrays, by post id.

    Args:
        model: its row of models.predictors.
    """
    rows = warehouse.query(
        f"SELECT v.expected_log_score, t.log_score FROM {VALIDATION} AS v "
        "JOIN models.training_set AS t USING (post_id, subreddit) "
        "WHERE v.subreddit = $subreddit AND v.predictor = $predictor AND v.digest = $digest ORDER BY post_id",
        {name: model[name] for name in OF_MODEL},
    )
    return rows.column("expected_log_score").to_numpy(), rows.column("log_score").to_numpy()


def _is_current(row: dict[str, Any], snapshot: str, code_version: str, seed: int, models: ModelStore) -> bool:
    if (row["snapshot"], row["code_version"], row["seed"]) != (snapshot, code_version, seed):
        return False
    if row["digest"] is None:
        return True
    try:
        models.folder(row["subreddit"], row["predictor"], row["digest"])
    except ArtifactError:
        return False  # lost or damaged files are made again
    return True


def _any_random(warehouse: Warehouse, used: Encoders, judged: bool) -> bool:
    """Whether a network that a predictor looks through is untrained; `judged`: whether it looks at image_scores."""
    names = list(filter(None, astuple(used)))
    found = warehouse.scalar(
        "SELECT count(*) FROM features.encoders WHERE provenance = 'random' AND list_contains($names, encoder)",
        {"names": names},
    )
    scored = "SELECT count(*) FROM features.image_scores WHERE weights = 'random'"
    return bool(found) or (judged and bool(warehouse.scalar(scored)))

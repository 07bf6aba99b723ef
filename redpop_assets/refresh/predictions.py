"""What every trained predictor expects of every post of its community, kept up to date."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.evaluation.metrics import percentile_rank, raw_score
from redpop_assets.features.family import Encoders
from redpop_assets.predictors.dataset import EMBEDDINGS, Dataset
from redpop_assets.predictors.parts import conformal
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.blocks import block_columns, hashed_posts, read_dataset
from redpop_assets.refresh.predictors import OF_MODEL, VALIDATION, encoders_of, held_out_residuals
from redpop_assets.refresh.snapshot import digest
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.predictions"

POSTS_AT_ONCE: Final = 10_000
"""Posts whose blocks are in memory together."""

RENEWED_AT_ONCE: Final = 100_000
"""Rows whose percentiles and intervals are renewed together: some tens of megabytes."""

_TRAINED = "FROM models.predictors WHERE status = 'trained' ORDER BY subreddit, predictor"
_STALE = f"""
FROM {TABLE} AS p WHERE NOT EXISTS (
    FROM models.predictors AS m
    WHERE m.subreddit = p.subreddit AND m.predictor = p.predictor AND m.digest = p.digest
) OR NOT EXISTS (FROM core.posts AS c WHERE c.post_id = p.post_id)
"""
# What percentiles, parts of the split and intervals are made from, each as the number and the sum of hashes of rows.
_LABELS = """
SELECT subreddit, count(*) || '-' || sum(hash(post_id, split, log_score)::HUGEINT) AS labels
FROM models.training_set GROUP BY ALL
"""
_HELD_OUT = f"""
SELECT v.subreddit, v.predictor, v.digest,
    count(*) || '-' || sum(hash(v.post_id, v.expected_log_score, t.log_score)::HUGEINT) AS held_out
FROM {VALIDATION} AS v JOIN models.training_set AS t USING (post_id, subreddit) GROUP BY ALL
"""
_WIDTHS = "SELECT modality, encoder, dimension FROM features.encoders"
# The models beside each of their posts, with what is stored of it.
_BESIDE = f"""
WITH {{looks}},
models AS (
    SELECT unnest($models::INTEGER[]) AS model, unnest($subreddits::VARCHAR[]) AS subreddit,
        unnest($predictors::VARCHAR[]) AS predictor, unnest($digests::VARCHAR[]) AS digest,
        unnest($look_of::INTEGER[]) AS look, unnest($own::VARCHAR[]) AS own,
        unnest($calibrations::VARCHAR[]) AS calibration
),
wanted AS (
    SELECT m.*, l.post_id, format('{{{{:016x}}}}', hash(m.own, l.hash)) AS inputs
    FROM models AS m JOIN looks AS l ON (l.subreddit, l.look) = (m.subreddit, m.look)
),
beside AS (
    SELECT
        w.model,
        w.post_id,
        w.inputs,
        (w.digest, w.inputs) IS DISTINCT FROM (p.digest, p.inputs) AS unknown,
        w.calibration IS DISTINCT FROM p.calibration AS uncalibrated
    FROM wanted AS w LEFT JOIN {TABLE} AS p ON (p.post_id, p.predictor) = (w.post_id, w.predictor)
)
"""
_COUNTS = f"""
{_BESIDE}
SELECT model, count(*) FILTER (unknown) AS unknown, count(*) FILTER (NOT unknown) AS known
FROM beside WHERE unknown OR uncalibrated GROUP BY ALL ORDER BY ALL
"""
_UNKNOWN = f"{_BESIDE} SELECT model, post_id, inputs FROM beside WHERE unknown ORDER BY ALL"
_UNCALIBRATED = f"""
FROM {TABLE} WHERE subreddit = $subreddit AND predictor = $predictor AND digest = $digest
    AND calibration IS DISTINCT FROM $calibration
ORDER BY post_id LIMIT {{most}}
"""


@dataclass(frozen=True)
class _Model:
    """A trained model: its row of models.predictors, and what rows of marts.predictions are made from besides posts."""

    row: Mapping[str, Any]
    own: str
    calibration: str

    @property
    def look(self) -> tuple[Encoders, tuple[str, ...]]:
        """What it sees of a post."""
        return encoders_of(self.row), tuple(self.row["blocks"])


def refresh_predictions(warehouse: Warehouse, models: ModelStore, *, progress: Callable[[str], None]) -> int:
    """Bring marts.predictions up to date with models, posts and features; returns the number of rows made or renewed.

    A model is asked about posts that are new, or of which something changed that it looks at: each row keeps a hash of
    that. To find them, the features of all posts with a model are hashed inside DuckDB, some 0.5 s a gigabyte. Where
    only labels changed, the model is not asked: percentiles, parts of the split and intervals are renewed, which are of
    all labels and so of all rows of a community. Memory is bounded by `POSTS_AT_ONCE`.
    """
    with warehouse.read() as reader:
        stale = reader.scalar(f"SELECT count(*) FROM ({_STALE})")
        trained = _models(reader)
        due = _counts(reader, trained)
    if stale:
        with warehouse.write() as writer:
            writer.execute(f"DELETE {_STALE}")
    read = lru_cache(maxsize=1)(
        lambda subreddit, encoders, blocks, chunk: read_dataset(warehouse, subreddit, encoders, blocks, chunk)
    )
    made = 0
    for subreddit in dict.fromkeys(trained[number].row["subreddit"] for number in due):
        own = [number for number in due if trained[number].row["subreddit"] == subreddit]
        asked = (
            _unknown(warehouse, [trained[number] for number in own]) if any(due[number][0] for number in own) else {}
        )
        for number, model in enumerate(trained[number] for number in own):
            made_of = _MadeOf.read(warehouse, model)
            made += _predict(warehouse, models, made_of, asked.get(number, {}), read, progress)
            made += _renew(warehouse, made_of, progress)
    return made


def _models(reader: Reader) -> list[_Model]:
    """All trained models, by community and name."""
    labels = {row["subreddit"]: row["labels"] for row in reader.query(_LABELS).to_pylist()}
    held_out = {tuple(row[name] for name in OF_MODEL): row["held_out"] for row in reader.query(_HELD_OUT).to_pylist()}
    widths = {(row["modality"], row["encoder"]): row["dimension"] for row in reader.query(_WIDTHS).to_pylist()}
    found = []
    for row in reader.query(_TRAINED).to_pylist():
        encoders = encoders_of(row)
        columns = [(block, *(column.name for column in block_columns(block))) for block in row["blocks"]]
        columns += [(widths.get((block, getattr(encoders, block))),) for block in row["blocks"] if block in EMBEDDINGS]
        calibration = digest(labels.get(row["subreddit"]), held_out.get(tuple(row[name] for name in OF_MODEL)))
        found.append(_Model(row, digest(row["digest"], versions.PREDICTIONS, columns), calibration))
    return found


def _beside(reader: Reader, models: Sequence[_Model], sql: str) -> pa.Table:
    """The rows of a statement that begins with `_BESIDE`; models are numbered in their order."""
    looks = list(dict.fromkeys(model.look for model in models))
    posts = "list_contains($subreddits, p.subreddit)"
    tables, params = hashed_posts(reader.schema, looks, posts)
    return reader.query(
        sql.format(looks=tables),
        {
            **params,
            "models": list(range(len(models))),
            **{f"{name}s": [model.row[name] for model in models] for name in OF_MODEL},
            "look_of": [looks.index(model.look) for model in models],
            "own": [model.own for model in models],
            "calibrations": [model.calibration for model in models],
        },
    )


def _counts(reader: Reader, models: Sequence[_Model]) -> dict[int, tuple[int, int]]:
    """Number of a model -> posts that it has to be asked about, and known ones that are not calibrated any more."""
    if not models:
        return {}
    return {row["model"]: (row["unknown"], row["known"]) for row in _beside(reader, models, _COUNTS).to_pylist()}


def _unknown(warehouse: Warehouse, models: Sequence[_Model]) -> dict[int, dict[str, str]]:
    """Number of a model -> posts that it has to be asked about, by id, with what its answers are made from."""
    with warehouse.read() as reader:
        rows = _beside(reader, models, _UNKNOWN)
    numbers, post_ids, inputs = (rows.column(name) for name in ("model", "post_id", "inputs"))
    edges = np.searchsorted(numbers.to_numpy(), np.arange(len(models) + 1))
    return {
        number: dict(
            zip(
                post_ids.slice(first, last - first).to_pylist(),
                inputs.slice(first, last - first).to_pylist(),
                strict=True,
            )
        )
        for number, (first, last) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    }


@dataclass(frozen=True)
class _MadeOf:
    """What says of an expectation where it stands: the labels of the community, and how far the model is off."""

    model: _Model
    split: dict[str, str]
    log_scores: npt.NDArray[np.float64]
    intervals: conformal.Calibration

    @classmethod
    def read(cls, warehouse: Warehouse, model: _Model) -> "_MadeOf":
        rows = warehouse.query(
            "SELECT post_id, split, log_score FROM models.training_set WHERE subreddit = $subreddit ORDER BY post_id",
            {"subreddit": model.row["subreddit"]},
        )
        split = dict(zip(rows.column("post_id").to_pylist(), rows.column("split").to_pylist(), strict=True))
        intervals = conformal.Calibration.fit(*held_out_residuals(warehouse, model.row))
        return cls(model, split, rows.column("log_score").to_numpy(), intervals)

    def columns(self, post_ids: Sequence[str], expected: npt.NDArray[np.float64]) -> dict[str, Any]:
        """The columns of marts.predictions that depend on labels: n values each for n posts."""
        return {
            "split": [self.split.get(post_id, "unlabelled") for post_id in post_ids],
            "percentile": percentile_rank(self.log_scores, expected),
            **_interval_columns(self.intervals.intervals(expected)),
            "calibration": [self.model.calibration] * len(expected),
        }


def _predict(
    warehouse: Warehouse,
    models: ModelStore,
    made_of: _MadeOf,
    asked: Mapping[str, str],
    read: Callable[..., Dataset],
    progress: Callable[[str], None],
) -> int:
    """Ask a model about posts, given by id with what the answers are made from; returns their number."""
    if not asked:
        return 0
    subreddit, name, model_digest = (made_of.model.row[column] for column in OF_MODEL)
    predictor = load_predictor(models.folder(subreddit, name, model_digest))
    post_ids, done = list(asked), 0
    for first in range(0, len(post_ids), POSTS_AT_ONCE):
        data = read(subreddit, *made_of.model.look, tuple(post_ids[first : first + POSTS_AT_ONCE]))
        expected = predictor.predict(data)
        same = {"predictor": name, "subreddit": subreddit, "digest": model_digest}
        rows = arrow_table(
            {
                "post_id": list(data.post_ids),
                **{column: [value] * len(data) for column, value in same.items()},
                "inputs": [asked[post_id] for post_id in data.post_ids],
                "expected_log_score": expected,
                "expected_score": raw_score(expected),
                "missing_blocks": pa.array(_missing_blocks(data), pa.list_(pa.string())),
                **made_of.columns(data.post_ids, expected),
            }
        )
        warehouse.merge(TABLE, rows)
        done += len(data)
        progress(f"{name} predicted {done} of {len(post_ids)} posts of r/{subreddit}")
    return done


def _renew(warehouse: Warehouse, made_of: _MadeOf, progress: Callable[[str], None]) -> int:
    """Renew what depends on labels in the rows of a model; returns their number."""
    scope = {**{name: made_of.model.row[name] for name in OF_MODEL}, "calibration": made_of.model.calibration}
    done = 0
    while True:
        rows = warehouse.query(_UNCALIBRATED.format(most=RENEWED_AT_ONCE), scope)
        if not rows.num_rows:
            return done
        expected = rows.column("expected_log_score").to_numpy()
        renewed = arrow_table(made_of.columns(rows.column("post_id").to_pylist(), expected))
        for name in renewed.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, renewed.column(name))
        warehouse.merge(TABLE, rows)
        done += rows.num_rows
        progress(f"{scope['predictor']}: {done} percentiles and intervals of r/{scope['subreddit']} renewed")


def _missing_blocks(data: Dataset) -> list[list[str]]:
    """Per post, the blocks that it lacks."""
    present = {name: block.present.tolist() for name, block in data.blocks.items()}
    return [[name for name, has in present.items() if not has[row]] for row in range(len(data))]


def _interval_columns(intervals: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, pa.Array]:
    """Columns of marts.predictions: what is not known is NULL."""
    return {
        name: pa.array(values, pa.int32() if name == "calibration_posts" else pa.float64(), from_pandas=True)
        for name, values in intervals.items()
    }

"""What every trained predictor expects of every post of its community, kept up to date."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.evaluation.metrics import percentile_rank, raw_score
from redpop_assets.features.registry import encoders_behind
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.parts import conformal
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.blocks import dataset_digest, read_dataset
from redpop_assets.refresh.predictors import OF_MODEL, encoders_of, held_out_residuals
from redpop_assets.refresh.snapshot import ALL, Snapshot, digest
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

POSTS_AT_ONCE: Final = 10_000
"""Posts whose blocks are in memory together."""

_KEPT = {"digest": "model", "inputs": ALL}
_TRAINED = "FROM models.predictors WHERE status = 'trained' ORDER BY subreddit, predictor"
_STALE = """
DELETE FROM marts.predictions AS p WHERE NOT EXISTS (
    FROM models.predictors AS m
    WHERE m.subreddit = p.subreddit AND m.predictor = p.predictor AND m.digest = p.digest
) OR NOT EXISTS (FROM core.posts AS c WHERE c.post_id = p.post_id)
"""
_POSTS = "SELECT subreddit, list(post_id ORDER BY post_id) AS post_ids FROM core.posts GROUP BY ALL"
_DONE = """
SELECT count(*) FROM marts.predictions
WHERE subreddit = $subreddit AND predictor = $predictor AND digest = $digest AND inputs = $inputs
"""


def refresh_predictions(warehouse: Warehouse, models: ModelStore, *, progress: Callable[[str], None]) -> int:
    """Bring marts.predictions up to date with models, posts and features; returns the number of rows computed.

    A model predicts all posts of its community again when one is new or one feature changed, and whether that is so
    takes reading all features that it looks at: both grow with the posts that there are.
    """
    with warehouse.write() as writer:
        writer.execute(_STALE)
    read = lru_cache(maxsize=1)(
        lambda subreddit, encoders, blocks, chunk: read_dataset(warehouse, subreddit, encoders, blocks, chunk)
    )
    computed = 0
    for model, made_from, chunks in _due(warehouse):
        subreddit, name = model["subreddit"], model["predictor"]
        labels = _Labels.read(warehouse, subreddit)
        calibration = conformal.Calibration.fit(*held_out_residuals(warehouse, model))
        predictor = load_predictor(models.folder(subreddit, name, model["digest"]))
        done = 0
        for chunk in chunks:
            data = read(subreddit, encoders_of(model), tuple(model["blocks"]), chunk)
            expected = predictor.predict(data)
            same = {"predictor": name, "subreddit": subreddit, **made_from.columns}
            rows = arrow_table(
                {
                    "post_id": list(data.post_ids),
                    **{column: [value] * len(data) for column, value in same.items()},
                    "split": [labels.split.get(post_id, "unlabelled") for post_id in data.post_ids],
                    "expected_log_score": expected,
                    "expected_score": raw_score(expected),
                    "percentile": percentile_rank(labels.log_scores, expected),
                    "missing_blocks": pa.array(_missing_blocks(data), pa.list_(pa.string())),
                    **_interval_columns(calibration.intervals(expected)),
                }
            )
            warehouse.merge("marts.predictions", rows)
            done += len(data)
            progress(f"{name} predicted {done} of {sum(map(len, chunks))} posts of r/{subreddit}")
        computed += done
    return computed


def _due(warehouse: Warehouse) -> list[tuple[dict[str, Any], Snapshot, list[tuple[str, ...]]]]:
    """Trained models, as rows of models.predictors, that have yet to predict a post.

    Each with what its predictions are made from, and the ids of the posts of its subreddit in chunks. Each block is
    read once, whatever number of models looks at it.
    """
    chunks: dict[str, list[tuple[str, ...]]] = {}
    block_digest = cache(
        lambda subreddit, encoders, blocks: digest(
            *(
                dataset_digest(read_dataset(warehouse, subreddit, encoders, blocks, chunk))
                for chunk in chunks[subreddit]
            )
        )
    )
    label_digest = cache(lambda subreddit: _Labels.read(warehouse, subreddit).digest)
    due = []
    with warehouse.read() as reader:  # one connection for hundreds of questions
        for row in reader.query(_POSTS).to_pylist():
            posts = row["post_ids"]
            chunks[row["subreddit"]] = [
                tuple(posts[first : first + POSTS_AT_ONCE]) for first in range(0, len(posts), POSTS_AT_ONCE)
            ]
        for model in reader.query(_TRAINED).to_pylist():
            subreddit, encoders = model["subreddit"], encoders_of(model)
            chunks.setdefault(subreddit, [])  # all its posts may be gone
            looked_at = {
                " ".join(("posts", *blocks)): block_digest(subreddit, encoders_behind(encoders, blocks), blocks)
                for blocks in ((), *((block,) for block in model["blocks"]))
            }
            expected, came = held_out_residuals(warehouse, model)
            parts = {
                "model": model["digest"],
                "code": versions.PREDICTIONS,
                **looked_at,
                "labels": label_digest(subreddit),
                "held-out posts": (expected.tobytes(), came.tobytes()),
            }
            made_from = Snapshot(parts, _KEPT)
            done = reader.scalar(_DONE, {**{name: model[name] for name in OF_MODEL}, **made_from.columns})
            if done != sum(map(len, chunks[subreddit])):
                due.append((model, made_from, chunks[subreddit]))
    return due


@dataclass(frozen=True)
class _Labels:
    """The part of each labelled post of a subreddit, all log scores, and a digest of both."""

    split: dict[str, str]
    log_scores: npt.NDArray[np.float64]
    digest: str

    @classmethod
    def read(cls, warehouse: Warehouse, subreddit: str) -> "_Labels":
        rows = warehouse.query(
            "SELECT post_id, split, log_score FROM models.training_set WHERE subreddit = $subreddit ORDER BY post_id",
            {"subreddit": subreddit},
        ).to_pydict()
        split = dict(zip(rows["post_id"], rows["split"], strict=True))
        return cls(split, np.array(rows["log_score"], dtype=np.float64), digest(rows))


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

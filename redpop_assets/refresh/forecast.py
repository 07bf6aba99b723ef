"""Applying trained predictors: to every post of the warehouse, and to one picture and title that is not posted yet."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import starmap
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.metrics import percentile_rank, raw_score
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.parts import conformal
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.blocks import dataset_digest, is_of_caption, is_of_picture, read_dataset
from redpop_assets.refresh.new_post import NEW, NewPost
from redpop_assets.refresh.training import OF_MODEL, encoders_of, held_out_residuals
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

_TRAINED = """
SELECT m.*, l.spearman AS test_spearman, l.mae AS test_mae, c.promoted_at AS champion_since
FROM models.predictors AS m
LEFT JOIN marts.leaderboard AS l USING (subreddit, predictor, digest)
LEFT JOIN marts.champions AS c USING (subreddit, predictor, digest)
WHERE m.status = 'trained' ORDER BY m.subreddit, m.predictor
"""
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


POSTS_AT_ONCE = 10_000
"""Posts whose blocks are in memory together."""


def refresh_predictions(warehouse: Warehouse, models: ModelStore, *, progress: Callable[[str], None]) -> int:
    """Bring marts.predictions up to date with models, posts and features; returns the number of rows computed."""
    with warehouse.write() as writer:
        writer.execute(_STALE)
    read = lru_cache(maxsize=1)(
        lambda subreddit, encoders, blocks, chunk: read_dataset(warehouse, subreddit, encoders, blocks, chunk)
    )
    computed = 0
    for model, inputs, chunks in _due(warehouse):
        subreddit, name = model["subreddit"], model["predictor"]
        labels = _Labels.read(warehouse, subreddit)
        calibration = conformal.Calibration.fit(*held_out_residuals(warehouse, model))
        predictor = load_predictor(models.folder(subreddit, name, model["digest"]))
        done = 0
        for chunk in chunks:
            data = read(subreddit, encoders_of(model), tuple(model["blocks"]), chunk)
            expected = predictor.predict(data)
            same = {"predictor": name, "subreddit": subreddit, "digest": model["digest"], "inputs": inputs}
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


def _due(warehouse: Warehouse) -> list[tuple[dict[str, Any], str, list[tuple[str, ...]]]]:
    """Trained models, as rows of models.predictors, that have yet to predict a post.

    Each with a digest of what it looks at, and the ids of the posts of its subreddit in chunks. Each block is read
    once, whatever number of models looks at it.
    """
    chunks: dict[str, list[tuple[str, ...]]] = {}
    block_digest = cache(
        lambda subreddit, encoders, blocks: _digest(
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
            looked_at = [
                block_digest(subreddit, encoders.of(blocks), blocks)
                for blocks in ((), *((block,) for block in model["blocks"]))
            ]
            residuals = held_out_residuals(warehouse, model)
            inputs = _digest(
                *looked_at, label_digest(subreddit), conformal.CODE_VERSION, *(part.tobytes() for part in residuals)
            )
            done = reader.scalar(_DONE, {**{name: model[name] for name in OF_MODEL}, "inputs": inputs})
            if done != sum(map(len, chunks[subreddit])):
                due.append((model, inputs, chunks[subreddit]))
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
        return cls(split, np.array(rows["log_score"], dtype=np.float64), _digest(rows))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


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


@dataclass(frozen=True)
class Forecast:
    """What one predictor expects of a post that is not made yet."""

    predictor: str
    expected_log_score: float
    expected_score: float
    percentile: float
    """Share of the labelled posts of the subreddit that scored less, from 0 to 1."""
    used_image: bool
    used_caption: bool
    test_spearman: float | None
    """How well it ranked the test part of this subreddit; None where that is unknown."""
    test_mae: float | None
    """Its mean absolute error of the log score there."""
    champion_since: datetime | None
    """Since when it speaks for this subreddit (UTC); None for all but the champion."""
    intervals: Mapping[int, tuple[float, float] | None]
    """By level in percent, the score in points between these bounds; None where too few posts could tell."""


def forecast(warehouse: Warehouse, models: ModelStore, post: NewPost) -> list[Forecast]:
    """Ask every trained predictor of a subreddit about one post: the champion first, then as they rank unseen posts.

    Args:
        warehouse: the live or a read-only published warehouse.
        models: where the trained predictors lie.
        post: what would be posted, where, when and by whom.

    Raises:
        NotTrainable: no predictor is trained in this subreddit.
        WeightsUnavailable, ArtifactError: an encoder or a model cannot be loaded.
    """
    trained = [model for model in warehouse.query(_TRAINED).to_pylist() if model["subreddit"] == post.subreddit]
    if not trained:
        known = warehouse.query("SELECT DISTINCT subreddit FROM models.predictors WHERE status = 'trained' ORDER BY 1")
        names = ", ".join(known.column("subreddit").to_pylist()) or "none yet: run `redpop materialize`"
        raise NotTrainable(
            f"No predictor is trained for r/{post.subreddit}. Subreddits with trained predictors: {names}."
        )
    log_scores = _Labels.read(warehouse, post.subreddit).log_scores
    forecasts = []
    for model in trained:
        predictor = load_predictor(models.folder(post.subreddit, model["predictor"], model["digest"]))
        encoders = encoders_of(model)
        blocks = {name: post.block(name, encoders) or _absent(kept) for name, kept in predictor.columns.items()}
        expected = predictor.predict(
            Dataset(
                post.subreddit,
                (NEW,),
                blocks,
                post.created_at,
                captions=(post.caption,),
                authors=(post.author,),
            )
        )
        looked_at = [(block, column) for block, columns in predictor.columns.items() for column in columns]
        forecasts.append(
            Forecast(
                predictor=model["predictor"],
                expected_log_score=float(expected[0]),
                expected_score=float(raw_score(expected)[0]),
                percentile=float(percentile_rank(log_scores, expected)[0]),
                used_image=post.image is not None and any(starmap(is_of_picture, looked_at)),
                used_caption=predictor.reads_captions or any(starmap(is_of_caption, looked_at)),
                test_spearman=model["test_spearman"],
                test_mae=model["test_mae"],
                champion_since=model["champion_since"],
                intervals=_in_points(conformal.Calibration.fit(*held_out_residuals(warehouse, model)), expected),
            )
        )
    return sorted(forecasts, key=_champion_and_then_the_best)


def _champion_and_then_the_best(one: Forecast) -> tuple[bool, bool, float]:
    return one.champion_since is None, one.test_spearman is None, -(one.test_spearman or 0.0)


def _in_points(
    calibration: conformal.Calibration, expected: npt.NDArray[np.float64]
) -> dict[int, tuple[float, float] | None]:
    """Intervals of one post by level."""
    found = {name: float(raw_score(values)[0]) for name, values in calibration.intervals(expected).items()}
    bounds = {level: (found[f"low_{level}"], found[f"high_{level}"]) for level in conformal.LEVELS}
    return {level: None if np.isnan(low) else (low, high) for level, (low, high) in bounds.items()}


def _absent(columns: tuple[str, ...]) -> Block:
    return Block(np.full((1, len(columns)), np.nan, dtype=np.float32), columns, np.zeros(1, dtype=np.bool_))

"""Applying trained predictors: to every post of the warehouse, and to one picture and title that is not posted yet."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.metrics import percentile_rank, raw_score
from redpop_assets.features.authors import Activity, author_features
from redpop_assets.features.captions import caption_features
from redpop_assets.features.flags import flag_features
from redpop_assets.features.pixels import pixel_features
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.predictors.blocks import Encoders, dataset_digest, make_block, read_dataset
from redpop_assets.predictors.dataset import EMBEDDINGS, Block, Dataset
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.predictors.training import NETWORK_COLUMNS
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.history import History
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from PIL.Image import Image

_TRAINED = """
SELECT m.*, l.spearman AS test_spearman
FROM models.predictors AS m LEFT JOIN marts.leaderboard AS l USING (subreddit, predictor, digest)
WHERE m.status = 'trained' ORDER BY m.subreddit, m.predictor
"""
_STALE = """
DELETE FROM marts.predictions AS p WHERE NOT EXISTS (
    FROM models.predictors AS m
    WHERE m.subreddit = p.subreddit AND m.predictor = p.predictor AND m.digest = p.digest
) OR NOT EXISTS (FROM core.posts AS c WHERE c.post_id = p.post_id)
"""


def refresh_predictions(warehouse: Warehouse, models: ModelStore, *, progress: Callable[[str], None]) -> int:
    """Bring marts.predictions up to date with models, posts and features; returns the number of rows computed."""
    with warehouse.write() as writer:
        writer.execute(_STALE)
    inputs = cache(lambda subreddit, encoders, blocks: _Inputs.read(warehouse, subreddit, encoders, blocks))
    computed = 0
    for model in warehouse.query(_TRAINED).to_pylist():
        subreddit, name, digest = model["subreddit"], model["predictor"], model["digest"]
        # An encoder that the predictor does not use may as well be none: its block stays empty.
        encoders = Encoders(**{network: model[column] or "" for network, column in NETWORK_COLUMNS.items()})
        given = inputs(subreddit, encoders, tuple(model["blocks"]))
        posts = len(given.data)
        done = warehouse.scalar(
            "SELECT count(*) FROM marts.predictions "
            "WHERE subreddit = $subreddit AND predictor = $predictor AND digest = $digest AND inputs = $inputs",
            {"subreddit": subreddit, "predictor": name, "digest": digest, "inputs": given.digest},
        )
        if done == posts:
            continue
        expected = load_predictor(models.folder(subreddit, name, digest)).predict(given.data)
        rows = arrow_table(
            {
                "post_id": list(given.data.post_ids),
                "predictor": [name] * posts,
                "subreddit": [subreddit] * posts,
                "split": [given.split.get(post_id, "unlabelled") for post_id in given.data.post_ids],
                "expected_log_score": expected,
                "expected_score": raw_score(expected),
                "percentile": percentile_rank(given.log_scores, expected),
                "digest": [digest] * posts,
                "inputs": [given.digest] * posts,
            }
        )
        warehouse.merge("marts.predictions", rows)
        computed += posts
        progress(f"{name} predicted {posts} posts of r/{subreddit}")
    return computed


@dataclass(frozen=True)
class _Inputs:
    """All posts of a subreddit with their blocks, the part of each labelled one, all log scores, a digest of it all."""

    data: Dataset
    split: dict[str, str]
    log_scores: npt.NDArray[np.float64]
    digest: str

    @classmethod
    def read(cls, warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: tuple[str, ...]) -> "_Inputs":
        data = read_dataset(warehouse, subreddit, encoders, blocks)
        rows = warehouse.query(
            "SELECT post_id, split, log_score FROM models.training_set WHERE subreddit = $subreddit ORDER BY post_id",
            {"subreddit": subreddit},
        ).to_pydict()
        digest = hashlib.sha256(repr((dataset_digest(data), rows)).encode()).hexdigest()[:16]
        split = dict(zip(rows["post_id"], rows["split"], strict=True))
        return cls(data, split, np.array(rows["log_score"], dtype=np.float64), digest)


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


def forecast(
    warehouse: Warehouse,
    models: ModelStore,
    subreddit: str,
    caption: str,
    image: "Image | None",
    *,
    posted_at: datetime,
    author: str | None,
    label_age: timedelta,
    device: str,
) -> list[Forecast]:
    """Ask every trained predictor of a subreddit about one post.

    Args:
        warehouse: the live or a read-only published warehouse.
        models: where the trained predictors lie.
        subreddit: in lower case.
        caption: title as it would be posted.
        image: RGB picture; None to ask about the title alone.
        posted_at: when it would be posted (aware).
        author: keyed hash of the author's name; None for somebody unknown.
        label_age: age at which the scores of the author's earlier posts count as known.
        device: where the encoders run.

    Raises:
        NotTrainable: no predictor is trained in this subreddit.
        WeightsUnavailable, ArtifactError: an encoder or a model cannot be loaded.
    """
    trained = [model for model in warehouse.query(_TRAINED).to_pylist() if model["subreddit"] == subreddit]
    if not trained:
        known = warehouse.query("SELECT DISTINCT subreddit FROM models.predictors WHERE status = 'trained' ORDER BY 1")
        names = ", ".join(known.column("subreddit").to_pylist()) or "none yet: run `redpop materialize`"
        raise NotTrainable(f"No predictor is trained for r/{subreddit}. Subreddits with trained predictors: {names}.")
    log_scores = _Inputs.read(warehouse, subreddit, Encoders("", ""), ()).log_scores
    cheap = _cheap_blocks(warehouse, subreddit, caption, image, posted_at, author, label_age)
    vectors = cache(lambda block, encoder: _embed(block, encoder, caption, image, device))
    forecasts = []
    for model in trained:
        predictor = load_predictor(models.folder(subreddit, model["predictor"], model["digest"]))
        blocks = dict(cheap)
        for block in EMBEDDINGS:
            if block in predictor.columns:
                blocks[block] = vectors(block, model[f"{block}_encoder"]) or _absent(predictor.columns[block])
        if "pixels" in predictor.columns and image is None:
            blocks["pixels"] = _absent(predictor.columns["pixels"])
        moment = np.array([posted_at.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[s]")
        expected = predictor.predict(
            Dataset(subreddit, ("new",), blocks, moment, captions=(caption,), authors=(author,))
        )
        forecasts.append(
            Forecast(
                predictor=model["predictor"],
                expected_log_score=float(expected[0]),
                expected_score=float(raw_score(expected)[0]),
                percentile=float(percentile_rank(log_scores, expected)[0]),
                used_image=image is not None and not {"image", "pixels"}.isdisjoint(predictor.columns),
                used_caption=not {"caption", "text"}.isdisjoint(predictor.columns),
                test_spearman=model["test_spearman"],
            )
        )
    return forecasts


def _cheap_blocks(
    warehouse: Warehouse,
    subreddit: str,
    caption: str,
    image: "Image | None",
    posted_at: datetime,
    author: str | None,
    label_age: timedelta,
) -> dict[str, Block]:
    """All blocks but the embeddings, for one post."""
    moment = np.array([posted_at.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[s]")
    everybody = History.read(warehouse, None, label_age)
    past = everybody.only(subreddit)
    created_at = np.concatenate([past.created_at, moment])
    authors = author_features(
        [*past.post_ids, "new"],
        [*past.authors, author],
        created_at,
        np.concatenate([past.matured_at, moment + np.timedelta64(label_age)]).astype("datetime64[s]"),
        np.append(past.log_score, np.nan),
        captions=[*past.captions, caption],
        activity=Activity(everybody.authors, everybody.subreddits, everybody.created_at),
    )
    blocks = {
        "time": make_block("time", timestamp_features(moment)),
        "text": make_block("text", caption_features([caption])),
        "author": make_block("author", {name: values[-1:] for name, values in authors.items()}),
        "flags": make_block("flags", flag_features(["image"], [1], [None], [False], [None], [False], [False])),
    }
    if image is not None:
        blocks["pixels"] = make_block("pixels", pixel_features([image], [image.size]))
    return blocks


def _embed(block: str, encoder: str, caption: str, image: "Image | None", device: str) -> Block | None:
    from redpop_assets.encoders.load import load_image_encoder, load_text_encoder

    if block == "caption":
        return make_block(block, {"embedding": load_text_encoder(encoder, device=device).encode([caption])})
    if image is None:
        return None
    return make_block(block, {"embedding": load_image_encoder(encoder, device=device).encode([image])})


def _absent(columns: tuple[str, ...]) -> Block:
    return Block(np.full((1, len(columns)), np.nan, dtype=np.float32), columns, np.zeros(1, dtype=np.bool_))

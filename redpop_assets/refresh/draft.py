"""What the trained predictors of a community expect of one picture and title that are not posted yet."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.evaluation.metrics import percentile_rank, raw_score
from redpop_assets.features.family import Content, Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.parts import conformal
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.new_post import NewPost
from redpop_assets.refresh.predictors import encoders_of, held_out_residuals
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable

_TRAINED = """
SELECT m.*, l.spearman AS test_spearman, l.mae AS test_mae, c.promoted_at AS champion_since
FROM models.predictors AS m
LEFT JOIN marts.leaderboard AS l USING (subreddit, predictor, digest)
LEFT JOIN marts.champions AS c USING (subreddit, predictor, digest)
WHERE m.status = 'trained' AND m.subreddit = $subreddit ORDER BY m.predictor
"""
_LOG_SCORES = "SELECT log_score FROM models.training_set WHERE subreddit = $subreddit"


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


@dataclass(frozen=True, eq=False)
class Answer:
    """What one predictor says of a draft.

    Attributes:
        model: its row of models.predictors.
        predictor: ready to be asked more.
        forecasts: one for each title of the draft, in their order.
    """

    model: Mapping[str, Any]
    predictor: Predictor
    forecasts: tuple[Forecast, ...]


def forecast(warehouse: Readable, models: ModelStore, post: NewPost) -> list[Forecast]:
    """Ask every trained predictor of a subreddit about one post: the champion first, then as they rank unseen posts.

    Args:
        warehouse: the live or a read-only published warehouse.
        models: where the trained predictors lie.
        post: what would be posted, where, when and by whom, with one title.

    Raises:
        NotTrainable: no predictor is trained in this subreddit.
        WeightsUnavailable, ArtifactError: an encoder or a model cannot be loaded.
        ValueError: the post has several titles.
    """
    if len(post.captions) != 1:
        raise ValueError(f"one title is forecast, not {len(post.captions)}: compare_titles takes several")
    return [answer.forecasts[0] for answer in answers(warehouse, models, post)]


def answers(warehouse: Readable, models: ModelStore, post: NewPost, only: Collection[str] = ()) -> Iterator[Answer]:
    """Ask trained predictors about a draft with any number of titles, in the order of `forecast`, one at a time.

    Args:
        warehouse, models, post: as for `forecast`.
        only: names of those to ask; empty for all.

    Raises:
        NotTrainable: no predictor is trained in this subreddit, or not one of these names.
        WeightsUnavailable, ArtifactError: as for `forecast`.
    """
    scope = {"subreddit": post.subreddit}
    trained = warehouse.query(_TRAINED, scope).to_pylist()
    if not trained:
        known = warehouse.query("SELECT DISTINCT subreddit FROM models.predictors WHERE status = 'trained' ORDER BY 1")
        names = ", ".join(known.column("subreddit").to_pylist()) or "none yet: run `redpop materialize`"
        raise NotTrainable(
            f"No predictor is trained for r/{post.subreddit}. Subreddits with trained predictors: {names}."
        )
    if unknown := set(only) - {model["predictor"] for model in trained}:
        raise NotTrainable(
            f"{', '.join(sorted(unknown))}: not trained for r/{post.subreddit}. Trained predictors: "
            f"{', '.join(model['predictor'] for model in trained)}."
        )
    log_scores = warehouse.query(_LOG_SCORES, scope).column("log_score").to_numpy()
    for model in sorted(trained, key=_champion_and_then_the_best):
        if only and model["predictor"] not in only:
            continue
        predictor = load_predictor(models.folder(post.subreddit, model["predictor"], model["digest"]))
        expected = predictor.predict(_dataset(post, predictor, encoders_of(model)))
        intervals = _in_points(conformal.Calibration.fit(*held_out_residuals(warehouse, model)), expected)
        ranks = percentile_rank(log_scores, expected)
        used_image = post.image is not None and _looks_at("picture", predictor.columns)
        used_caption = predictor.reads_captions or _looks_at("caption", predictor.columns)
        forecasts = tuple(
            Forecast(
                predictor=model["predictor"],
                expected_log_score=float(expected[row]),
                expected_score=float(raw_score(expected)[row]),
                percentile=float(ranks[row]),
                used_image=used_image,
                used_caption=used_caption,
                test_spearman=model["test_spearman"],
                test_mae=model["test_mae"],
                champion_since=model["champion_since"],
                intervals=intervals[row],
            )
            for row in range(len(expected))
        )
        yield Answer(model, predictor, forecasts)


def _dataset(post: NewPost, predictor: Predictor, encoders: Encoders) -> Dataset:
    """The draft as a predictor sees it, a row for each title."""
    n = len(post.captions)
    blocks = {name: post.block(name, encoders) or _absent(kept, n) for name, kept in predictor.columns.items()}
    return Dataset(
        post.subreddit,
        post.post_ids,
        blocks,
        post.created_at,
        captions=post.captions,
        authors=(post.author,) * n,
    )


def _looks_at(content: Content, columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether one of the columns, by block, follows from the post's own picture or caption."""
    return any(BLOCKS[block].is_of(content, column) for block, names in columns.items() for column in names)


def _champion_and_then_the_best(model: Mapping[str, Any]) -> tuple[bool, bool, float]:
    skill = model["test_spearman"]
    return model["champion_since"] is None, skill is None, -(skill or 0.0)


def _in_points(
    calibration: conformal.Calibration, expected: npt.NDArray[np.float64]
) -> list[dict[int, tuple[float, float] | None]]:
    """Intervals of each post by level."""
    found = {name: raw_score(values) for name, values in calibration.intervals(expected).items()}
    bounds = {level: np.column_stack([found[f"low_{level}"], found[f"high_{level}"]]) for level in LEVELS}
    return [
        {
            level: None if np.isnan(ends[row]).any() else (float(ends[row, 0]), float(ends[row, 1]))
            for level, ends in bounds.items()
        }
        for row in range(len(expected))
    ]


def _absent(columns: tuple[str, ...], rows: int) -> Block:
    return Block(np.full((rows, len(columns)), np.nan, dtype=np.float32), columns, np.zeros(rows, dtype=np.bool_))

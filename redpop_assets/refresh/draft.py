"""What the trained predictors of a community expect of one picture and title that are not posted yet."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.evaluation.metrics import percentile_rank, raw_score
from redpop_assets.features.family import Content, Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.parts import conformal
from redpop_assets.refresh.new_post import Draft
from redpop_assets.refresh.speakers import Speaker, Speakers
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable


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
        speaker: the predictor, ready to be asked more.
        forecasts: one for each row of the draft, in their order.
    """

    speaker: Speaker
    forecasts: tuple[Forecast, ...]


def forecast(warehouse: Readable, models: ModelStore, post: Draft) -> list[Forecast]:
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
    return [found.forecasts[0] for found in answers(warehouse, models, post)]


def answers(warehouse: Readable, models: ModelStore, post: Draft, only: Collection[str] = ()) -> Iterator[Answer]:
    """Ask trained predictors about one draft; see `asked`, which loads nothing twice where there are more."""
    return asked(Speakers(warehouse, models), post, only)


def asked(speakers: Speakers, post: Draft, only: Collection[str] = ()) -> Iterator[Answer]:
    """Ask trained predictors about a draft with any number of rows, in the order of `forecast`, one at a time.

    Args:
        speakers: of the communities.
        post: what would be posted, where, when and by whom.
        only: names of those to ask; empty for all.

    Raises:
        NotTrainable: no predictor is trained in this subreddit, or not one of these names.
        WeightsUnavailable, ArtifactError: as for `forecast`.
    """
    return (answer(speaker, post) for speaker in speakers.of(post.subreddit, only))


def answer(speaker: Speaker, post: Draft) -> Answer:
    """Ask one predictor about a draft of its community with any number of rows, all at once.

    Raises:
        WeightsUnavailable, ArtifactError: as for `forecast`.
    """
    predictor = speaker.predictor
    return Answer(
        speaker,
        forecasts_of(
            speaker,
            dataset_of(post, predictor, speaker.encoders),
            used_image=post.image is not None and looks_at("picture", predictor.columns),
        ),
    )


def forecasts_of(speaker: Speaker, data: Dataset, *, used_image: bool) -> tuple[Forecast, ...]:
    """What one predictor expects of some drafts.

    Args:
        speaker: the predictor.
        data: n drafts as it sees them.
        used_image: whether they have a picture that it looks at.
    """
    model, predictor = speaker.model, speaker.predictor
    expected = predictor.predict(data)
    intervals = _in_points(speaker.calibration, expected)
    ranks, scores = percentile_rank(speaker.log_scores, expected), raw_score(expected)
    used_caption = predictor.reads_captions or looks_at("caption", predictor.columns)
    return tuple(
        Forecast(
            predictor=speaker.name,
            expected_log_score=float(expected[row]),
            expected_score=float(scores[row]),
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


def dataset_of(post: Draft, predictor: Predictor, encoders: Encoders) -> Dataset:
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


def looks_at(content: Content, columns: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether one of the columns, by block, follows from the post's own picture or caption."""
    return any(BLOCKS[block].is_of(content, column) for block, names in columns.items() for column in names)


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

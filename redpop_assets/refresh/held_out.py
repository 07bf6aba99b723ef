"""The newest posts of a community that a speaker has not learnt from: by which it is judged, and what is usual now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.sides import Side, mixed
from redpop_assets.refresh.speakers import Speaker

MOST_HELD_OUT: Final = 300
"""Posts, the newest, that the worth of differences is learnt from: enough for what can be learnt, a second's work."""

PLACES: Final = 12
"""Posts under which each of their titles, or times, is tried, to find what is due to it."""

_Doubles: TypeAlias = "npt.NDArray[np.float64]"

_HELD_OUT = """
SELECT post_id, log_score, "cluster" FROM (
    FROM models.training_set WHERE subreddit = $subreddit AND split IN ('test', 'embargo')
    ORDER BY created_at DESC, post_id DESC LIMIT $most
) ORDER BY post_id
"""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Posts that a speaker has not learnt from.

    Attributes:
        data: n posts as it sees them, in the order of their ids.
        log_scores: (n,) their labels.
        residuals: (n,) labels less what it expects.
        clusters: n names: posts of one author, or of one picture, share one.
    """

    data: Dataset
    log_scores: _Doubles
    residuals: _Doubles
    clusters: Sequence[str]


def held_out(speaker: Speaker) -> HeldOut:
    """The newest `MOST_HELD_OUT` posts of the test part and of the embargo before it, read once per speaker."""
    return speaker.kept_as("held out", lambda: _read(speaker))


def _read(speaker: Speaker) -> HeldOut:
    scope = {"subreddit": speaker.subreddit, "most": MOST_HELD_OUT}
    rows = speaker.warehouse.query(_HELD_OUT, scope)
    predictor = speaker.predictor
    data = read_dataset(
        speaker.warehouse,
        speaker.subreddit,
        speaker.encoders,
        list(predictor.columns),
        rows.column("post_id").to_pylist(),
    )
    log_scores = rows.column("log_score").to_numpy()
    return HeldOut(data, log_scores, log_scores - predictor.predict(data), rows.column("cluster").to_pylist())


def parts_of(side: Side, predictor: Predictor, data: Dataset, places: int = PLACES) -> _Doubles:
    """What a predictor expects of one side of each post, whatever it stands under: (n,) means over some of the posts.

    The posts are spread evenly over the data; values are log scores.
    """
    under = np.unique(np.linspace(0, len(data) - 1, min(places, len(data))).round().astype(np.intp))
    own = np.arange(len(data))
    sums = np.zeros(len(data))
    for place in under:
        sums += predictor.predict(mixed(data, np.full(len(data), place), {side: own}))
    return sums / len(under)

"""One draft at many times: what a speaker expects of it at each, and whether its differences can be told.

What others post until then is not known, so only the clock changes: the community and the author stay as they are.
What a difference between two times is worth is learnt as for titles (`redpop_assets.predictors.parts.differences`),
from posts that the speaker has not learnt from: times are alike as far as the clock and the weekday are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.parts.differences import FEWEST, Differences
from redpop_assets.refresh.blocks import make_block
from redpop_assets.refresh.held_out import held_out, parts_of
from redpop_assets.refresh.sides import sides_of
from redpop_assets.refresh.speakers import Speaker
from redpop_assets.refresh.titles import Difference

_Doubles = npt.NDArray[np.float64]
_Times = npt.NDArray[np.datetime64]


def at_times(draft: Dataset, moments: Sequence[datetime]) -> Dataset:
    """One draft, posted at each of some times.

    Args:
        draft: one post.
        moments: m times (aware).

    Returns:
        m posts that differ in nothing but their time.
    """
    created_at = np.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], dtype="datetime64[s]")
    same = np.zeros(len(moments), dtype=np.intp)
    blocks = {name: block.take(same) for name, block in draft.blocks.items()}
    if "time" in blocks:
        blocks["time"] = make_block("time", timestamp_features(created_at)).pick(blocks["time"].columns)
    return replace(
        draft,
        post_ids=tuple(f"{draft.post_ids[0]}:{number}" for number in range(len(moments))),
        blocks=blocks,
        created_at=created_at,
        captions=draft.captions * len(moments),
        authors=draft.authors * len(moments),
    )


def looks_at_time(speaker: Speaker) -> bool:
    """Whether the speaker can tell times apart."""
    return "time" in sides_of(speaker.predictor.columns, reads_captions=False)


def differences_from_best(
    speaker: Speaker, moments: _Times, expected: _Doubles
) -> tuple[tuple[Difference, ...], str | None]:
    """How far the times are from the best one, with intervals, and why these are missing, if they are.

    Args:
        speaker: who expects it.
        moments: (m,) datetime64[s], UTC.
        expected: (m,) log scores of one draft at these times.
    """
    best = int(np.argmax(expected))
    gaps = expected - expected[best]
    learnt, why = _worth(speaker) if looks_at_time(speaker) else (None, "the predictor does not look at the time")
    bounds: dict[int, list[tuple[float, float]]] = {}
    if learnt is not None:
        vectors = clock_vectors(moments).astype(np.float64)
        likeness = np.minimum(vectors @ vectors[best], 1.0)
        likeness[moments == moments[best]] = 1.0
        for level in LEVELS:
            low, high = learnt.interval(gaps, likeness, level)
            bounds[level] = list(zip(low.tolist(), high.tolist(), strict=True))

    def intervals(row: int) -> Mapping[int, tuple[float, float] | None]:
        return {level: bounds[level][row] if level in bounds else None for level in LEVELS}

    return tuple(Difference(float(gap), intervals(row)) for row, gap in enumerate(gaps)), why or None


def clock_vectors(moments: _Times) -> npt.NDArray[np.float32]:
    """Times as points on the circle of the day and on that of the week: (n, 4) of length 1.

    Args:
        moments: (n,) datetime64[s], UTC.
    """
    made = timestamp_features(moments)
    columns = [made[name] for name in ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")]
    vectors: npt.NDArray[np.float32] = (np.column_stack(columns) / np.sqrt(2.0)).astype(np.float32)
    return vectors


def _worth(speaker: Speaker) -> tuple[Differences | None, str]:
    """What the differences that a speaker expects between times are worth; or None, and why that is not known."""
    return speaker.kept_as("worth of times", lambda: _learnt(speaker))


def _learnt(speaker: Speaker) -> tuple[Differences | None, str]:
    found = held_out(speaker)
    if len(found.data) < FEWEST:
        return (
            None,
            f"{FEWEST} matured posts that were not learnt from are needed to tell, and there are {len(found.data)}",
        )
    learnt = Differences.fit(
        found.residuals,
        parts_of("time", speaker.predictor, found.data),
        clock_vectors(found.data.created_at),
        found.data.authors,
    )
    return learnt, "" if learnt is not None else "times make no difference to the predictor"

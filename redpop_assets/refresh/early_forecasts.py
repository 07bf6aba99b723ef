"""Forecasts that follow a post: written down once when the readings of an age have arrived, and what is to say now.

What was said at an age is kept as it was said (marts.early_forecasts) and judged when the post has matured
(marts.early_forecast_outcomes, marts.early_forecast_accuracy). What is to say of a post *now*, between the ages, is
asked of an `EarlyOracle`: the model of the whole curve looks at every reading so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable


@dataclass(frozen=True)
class Ahead:
    """What is expected of a post at one age.

    Attributes:
        age_hours: of the post.
        expected: points.
        ranges: level in percent (50, 80, 90) -> (low, high) in points; a level is absent where too few posts could
            tell.
    """

    age_hours: float
    expected: float
    ranges: Mapping[int, tuple[float, float]]


@dataclass(frozen=True)
class AtAnAge:
    """What the predictor that speaks at the latest age that the post has reached makes of the readings by it.

    Attributes:
        age_hours: 1, 3, 6 or 24.
        predictor: short name.
        final: what it expects at the label age.
    """

    age_hours: int
    predictor: str
    final: Ahead


@dataclass(frozen=True)
class EarlyForecast:
    """What is to say of a post now.

    Attributes:
        post_id: base36.
        subreddit: in lower case.
        read_hours: age of the post at its newest reading; None if it was never read.
        score: points in the newest reading that shows any; None if none does.
        curve: by the model of the whole curve, from every reading so far: the ages to come, ascending, the label age
            last. Neither the expectation nor an end of a range falls with the age. Empty where it is not known.
        at_age: by the predictor of the latest age reached; None where none is trained or the readings are too old.
        percentile: share of the labelled posts of the community that scored less than the final expectation of the
            curve, or else of `at_age`; None without either.
        why_unknown: why there is no curve, as a sentence that says what to do; None where there is one.
    """

    post_id: str
    subreddit: str
    read_hours: float | None
    score: int | None
    curve: tuple[Ahead, ...]
    at_age: AtAnAge | None
    percentile: float | None
    why_unknown: str | None


class EarlyOracle:
    """Answers about posts of one edition; keeps the models of each community loaded. Threads may ask at once.

    Args:
        edition: where readings, states and what the champions expect are.
        models: where the files of the models lie.
    """

    def __init__(self, edition: Readable, models: ModelStore) -> None:
        self._edition, self._models = edition, models

    def of(self, post_id: str) -> EarlyForecast | None:
        """What is to say of a post; None if the warehouse has no such post."""
        raise NotImplementedError


def forecast_now(edition: Readable, models: ModelStore, post_id: str) -> EarlyForecast | None:
    """What is to say of one post; whoever asks often keeps an `EarlyOracle`.

    Args:
        edition: as for `EarlyOracle`.
        models: likewise.
        post_id: base36, without t3_.
    """
    return EarlyOracle(edition, models).of(post_id)

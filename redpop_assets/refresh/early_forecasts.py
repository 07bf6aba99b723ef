"""Forecasts that follow a post: written down once when the readings of an age have arrived, and what is to say now.

What was said at an age is kept as it was said (marts.early_forecasts) and judged when the post has matured
(marts.early_forecast_outcomes, marts.early_forecast_accuracy). What is to say of a post *now*, between the ages, is
asked of an `EarlyOracle`: the model of the whole curve looks at every reading so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.errors import ArtifactError
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.evaluation.metrics import log_score, percentile_rank, raw_score
from redpop_assets.features.early import Readings
from redpop_assets.features.family import Encoders
from redpop_assets.kept import Kept
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import EARLY
from redpop_assets.predictors.early.curve import CurveModel, Evidence
from redpop_assets.predictors.early.registry import CURVE, load_early
from redpop_assets.predictors.parts.conformal import Calibration
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.early_predictors import BOUNDS, PREDICTIONS, beside_early, bounds_of, early_block
from redpop_assets.refresh.early_predictors import TABLE as PREDICTORS
from redpop_assets.refresh.early_readings import TABLE as READINGS
from redpop_assets.refresh.early_readings import read_readings
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.early_forecasts"

POSTS_AT_ONCE: Final = 5_000
"""Posts that are forecast together."""

# The clock of the source, not of this machine, as of marts.forecasts.
_DUE = f"""
WITH now AS (
    SELECT p.subreddit, greatest(max(p.created_at), max(o.observed_at)) AS as_of
    FROM core.posts AS p LEFT JOIN raw.observations AS o USING (post_id) GROUP BY ALL
)
SELECT r.subreddit, r.age_hours, e.predictor, r.post_id, r.observed_at AS read_at, n.as_of
FROM {READINGS} AS r
JOIN {PREDICTORS} AS e ON (e.subreddit, e.age_hours) = (r.subreddit, r.age_hours) AND e.speaks
JOIN core.posts AS p ON p.post_id = r.post_id
JOIN now AS n ON n.subreddit = r.subreddit
ANTI JOIN core.labels AS l ON l.post_id = r.post_id
ANTI JOIN {TABLE} AS f ON (f.post_id, f.age_hours) = (r.post_id, r.age_hours)
WHERE n.as_of < p.created_at + $label_age::INTERVAL AND r.still_up = 1
ORDER BY r.subreddit, r.age_hours, r.post_id
"""
_SPEAKING = f"FROM {PREDICTORS} WHERE subreddit = $subreddit AND age_hours = $age AND speaks"
_CURVE = f"""
FROM {PREDICTORS} WHERE subreddit = $subreddit AND predictor = '{CURVE}' AND digest IS NOT NULL
ORDER BY age_hours LIMIT 1
"""
_OFF = f"""
SELECT e.expected_log_score, t.log_score
FROM {PREDICTIONS} AS e JOIN models.training_set AS t USING (post_id, subreddit)
WHERE e.subreddit = $subreddit AND e.predictor = $predictor AND e.age_hours = $age_hours AND e.digest = $digest
    AND e.split = 'validation'
ORDER BY e.post_id
"""
_POSTING = """
SELECT post_id, expected_log_score FROM marts.predictions
WHERE predictor = $predictor AND digest = $digest AND list_contains($post_ids, post_id)
"""
_LOG_SCORES = "SELECT log_score FROM models.training_set WHERE subreddit = $subreddit ORDER BY log_score"
_MEDIAN = "SELECT median(log_score) FROM models.training_set WHERE subreddit = $subreddit AND split = 'train'"
_POST = f"""
SELECT p.subreddit, (SELECT max(age_hours) FROM {READINGS} AS r WHERE r.post_id = p.post_id) AS reached
FROM core.posts AS p WHERE p.post_id = $post_id
"""

Doubles = npt.NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class _Said:
    """What was expected of n posts: log scores, and ends of ranges by `BOUNDS`, NaN where unknown."""

    post_ids: Sequence[str]
    expected: Doubles
    bounds: Mapping[str, Doubles]


class _Speakers(Kept):
    """What speaks of each community and age, loaded when it is first asked."""

    def __init__(self, warehouse: Readable, models: ModelStore) -> None:
        super().__init__()
        self.warehouse, self._models = warehouse, models

    def state(self, subreddit: str, age: int) -> Mapping[str, Any] | None:
        """The row of what speaks at an age; None where nothing is trained."""
        found = self.warehouse.query(_SPEAKING, {"subreddit": subreddit, "age": age}).to_pylist()
        return found[0] if found else None

    def curve_state(self, subreddit: str) -> Mapping[str, Any] | None:
        """A row of the model of the whole curve; None where it is not trained."""
        found = self.warehouse.query(_CURVE, {"subreddit": subreddit}).to_pylist()
        return found[0] if found else None

    def curve(self, state: Mapping[str, Any]) -> CurveModel:
        """The model of a row."""
        return self.kept_as(("curve", state["digest"]), lambda: CurveModel.load(self._folder(state)))

    def log_scores(self, subreddit: str) -> Doubles:
        """(n,) labels of a community, ascending."""
        return self.kept_as(
            ("scores", subreddit),
            lambda: self.warehouse.query(_LOG_SCORES, {"subreddit": subreddit}).column("log_score").to_numpy(),
        )

    def say(self, state: Mapping[str, Any], age: int, post_ids: Sequence[str]) -> _Said:
        """What a speaker expects of posts that have readings by an age."""
        if state["predictor"] == CURVE:
            wanted = sorted(post_ids)
            with self.warehouse.read() as reader:
                readings = read_readings(reader, wanted, last=age).by(age)
            model = self.curve(state)
            found = model.foresee(self.evidence(state, model, readings, wanted), age, [model.knots.label_hours])
            return _Said(wanted, found.expected[:, -1], bounds_of(found))
        predictor: Predictor
        predictor, calibration = self.kept_as((state["predictor"], state["digest"]), partial(self._loaded, state, age))
        read, block = early_block(self.warehouse, state["subreddit"], age, post_ids)
        blocks = [name for name in predictor.columns if name != EARLY]
        encoders = Encoders(**json.loads(state["encoders"]))
        data = beside_early(read_dataset(self.warehouse, state["subreddit"], encoders, blocks, read), read, block)
        expected = predictor.predict(data)
        return _Said(data.post_ids, expected, calibration.intervals(expected))

    def evidence(
        self, state: Mapping[str, Any], model: CurveModel, readings: Readings, post_ids: Sequence[str]
    ) -> Evidence:
        """What is known of posts by some readings, and by what the champion expected of them at posting."""
        posting = np.full(len(post_ids), np.nan)
        if state["posting_digest"] is not None:
            given = {"predictor": state["posting_predictor"], "digest": state["posting_digest"]}
            place = {post_id: row for row, post_id in enumerate(post_ids)}
            for row in self.warehouse.query(_POSTING, {**given, "post_ids": list(post_ids)}).to_pylist():
                posting[place[row["post_id"]]] = row["expected_log_score"]
        return Evidence.of(model.knots, readings, len(post_ids), posting=posting)

    def _loaded(self, state: Mapping[str, Any], age: int) -> tuple[Predictor, Calibration]:
        scope = {name: state[name] for name in ("subreddit", "predictor", "digest")}
        off = self.warehouse.query(_OFF, {**scope, "age_hours": age})
        calibration = Calibration.fit(*(off.column(name).to_numpy() for name in ("expected_log_score", "log_score")))
        return load_early(self._folder(state)), calibration

    def _folder(self, state: Mapping[str, Any]) -> Any:
        return self._models.folder(state["subreddit"], state["predictor"], state["digest"])


def make_early_forecasts(warehouse: Warehouse, models: ModelStore, *, label_age: timedelta, made_at: datetime) -> int:
    """Write down what is expected of young posts whose readings by an age have arrived, once per post and age.

    One query finds what is due; what is made grows with that.

    Args:
        warehouse: features.early_readings, models.early_predictors and marts.predictions are up to date.
        models: where the files of the models lie.
        label_age: age from which readings count for a label; of a post past it the score can be known.
        made_at: the time, UTC, without zone.

    Returns:
        Number of new forecasts.
    """
    due = warehouse.query(_DUE, {"label_age": label_age}).to_pylist()
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in due:
        groups.setdefault((row["subreddit"], row["age_hours"]), []).append(row)
    speakers = _Speakers(warehouse, models)
    made = 0
    for (subreddit, age), rows in groups.items():
        state = speakers.state(subreddit, age)
        median = warehouse.scalar(_MEDIAN, {"subreddit": subreddit})
        if state is None or median is None:
            continue
        for first in range(0, len(rows), POSTS_AT_ONCE):
            some = {row["post_id"]: row for row in rows[first : first + POSTS_AT_ONCE]}
            said = speakers.say(state, age, list(some))
            n = len(said.post_ids)
            table = pa.table(
                {
                    "post_id": pa.array(said.post_ids, pa.string()),
                    "subreddit": [subreddit] * n,
                    "age_hours": pa.array([age] * n, pa.int32()),
                    "predictor": [state["predictor"]] * n,
                    "digest": [state["digest"]] * n,
                    "made_at": pa.array([made_at] * n, pa.timestamp("us")),
                    **{
                        name: pa.array([some[post_id][name] for post_id in said.post_ids], pa.timestamp("us"))
                        for name in ("as_of", "read_at")
                    },
                    "expected_log_score": said.expected,
                    "expected_score": raw_score(said.expected),
                    "percentile": percentile_rank(speakers.log_scores(subreddit), said.expected),
                    **{name: pa.array(said.bounds[name], pa.float64(), from_pandas=True) for name in BOUNDS},
                    "median_log_score": [float(median)] * n,
                }
            )
            made += warehouse.append(TABLE, table)
    return made


class EarlyOracle:
    """Answers about posts of one edition; keeps the models of each community loaded. Threads may ask at once.

    Args:
        edition: where readings, states and what the champions expect are.
        models: where the files of the models lie.
    """

    def __init__(self, edition: Readable, models: ModelStore) -> None:
        self._edition = edition
        self._speakers = _Speakers(edition, models)

    def of(self, post_id: str) -> EarlyForecast | None:
        """What is to say of a post; None if the warehouse has no such post."""
        found = self._edition.query(_POST, {"post_id": post_id}).to_pylist()
        if not found:
            return None
        subreddit, reached = found[0]["subreddit"], found[0]["reached"]
        with self._edition.read() as reader:
            readings = read_readings(reader, [post_id], last=None)
        shown = readings.score[np.isfinite(readings.score)]
        read_hours = float(readings.age_hours[-1]) if len(readings) else None
        try:
            curve, why = self._curve(subreddit, post_id, readings, read_hours)
            at_age = self._at_age(subreddit, post_id, reached)
        except ArtifactError as error:  # files that were taken away meanwhile
            curve, at_age, why = (), None, str(error)
        final = curve[-1] if curve else at_age.final if at_age else None
        percentile = None
        if final is not None:
            expected = log_score([final.expected])
            percentile = float(percentile_rank(self._speakers.log_scores(subreddit), expected)[0])
        score = round(float(shown[-1])) if len(shown) else None
        return EarlyForecast(post_id, subreddit, read_hours, score, curve, at_age, percentile, why)

    def _curve(
        self, subreddit: str, post_id: str, readings: Readings, read_hours: float | None
    ) -> tuple[tuple[Ahead, ...], str | None]:
        state = self._speakers.curve_state(subreddit)
        if state is None:
            return (), (
                f"No model of curves is trained for r/{subreddit}: that takes posts which were read while they were "
                "young and have matured since. Run `redpop materialize` from day to day, or import readings."
            )
        model = self._speakers.curve(state)
        age = read_hours or 0.0
        if age >= model.knots.label_hours:
            return (), "The post has reached the label age: its score is known."
        targets = [knot for knot in model.knots.scores if knot > 1.05 * age]
        evidence = self._speakers.evidence(state, model, readings, [post_id])
        found = model.foresee(evidence, age, targets)
        return tuple(
            _ahead(
                target,
                found.expected[0, place],
                {
                    f"{end}_{level}": side[level][0, place]
                    for end, side in (("low", found.low), ("high", found.high))
                    for level in LEVELS
                },
            )
            for place, target in enumerate(targets)
        ), None

    def _at_age(self, subreddit: str, post_id: str, reached: int | None) -> AtAnAge | None:
        state = None if reached is None else self._speakers.state(subreddit, reached)
        if state is None or reached is None:
            return None
        said = self._speakers.say(state, reached, [post_id])
        bounds = {name: float(values[0]) for name, values in said.bounds.items() if name in BOUNDS}
        return AtAnAge(reached, state["predictor"], _ahead(state["label_hours"], float(said.expected[0]), bounds))


def _ahead(hours: float, expected: float, bounds: Mapping[str, float]) -> Ahead:
    """In points, with the ranges that are known."""
    ranges = {
        level: (_points(bounds[f"low_{level}"]), _points(bounds[f"high_{level}"]))
        for level in LEVELS
        if np.isfinite(bounds[f"low_{level}"]) and np.isfinite(bounds[f"high_{level}"])
    }
    return Ahead(float(hours), _points(expected), ranges)


def _points(log_score: float) -> float:
    return float(raw_score(np.array([log_score]))[0])


def forecast_now(edition: Readable, models: ModelStore, post_id: str) -> EarlyForecast | None:
    """What is to say of one post; whoever asks often keeps an `EarlyOracle`.

    Args:
        edition: as for `EarlyOracle`.
        models: likewise.
        post_id: base36, without t3_.
    """
    return EarlyOracle(edition, models).of(post_id)

"""Predictors that follow the posts of a community: trained again when posts, readings, champion, code or seed changed.

They learn from the posts of models.training_set, by its split, as far as these were read while they were young; labels
and embargo are those of all predictors. What they expected of posts that they had not learnt from is kept
(models.early_predictions): the validation part calibrates, the test part judges. Beside them stands what the champion
said of the same posts when they were made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.features.early import COLUMNS, FORECAST_AGES
from redpop_assets.features.family import Encoders
from redpop_assets.predictors.base import Progress
from redpop_assets.predictors.dataset import EARLY, Block, Dataset
from redpop_assets.predictors.early.curve import LEAST_TRAIN, CurveModel, CurvePosts, Foreseen
from redpop_assets.predictors.early.registry import AT_POSTING, CURVE, EARLY_NAMES, early_class
from redpop_assets.predictors.parts.conformal import Calibration
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.early_readings import TABLE as READINGS
from redpop_assets.refresh.early_readings import read_readings
from redpop_assets.refresh.predictors import OF_MODEL, VALIDATION, encoders_of
from redpop_assets.refresh.snapshot import ALL, Snapshot
from redpop_assets.refresh.training_set import read_split, training_sets
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "models.early_predictors"
PREDICTIONS: Final = "models.early_predictions"
COVERAGE: Final = "models.early_coverage"

BOUNDS: Final = tuple(f"{end}_{level}" for level in LEVELS for end in ("low", "high"))
"""Columns of the ends of ranges."""

# What is learnt from: the rows of each age, and for the curve all readings up to the label age.
_MADE_OF = f"""
SELECT
    (SELECT count(*) || '-' || coalesce(sum(hash(e.post_id, e.age_hours, e.made_from)::HUGEINT), 0)
    FROM {READINGS} AS e SEMI JOIN models.training_set AS t USING (post_id, subreddit)
    WHERE e.subreddit = $subreddit) AS early,
    (SELECT count(*) || '-' || coalesce(sum(hash(
        o.post_id, o.observed_at, o.score, o.hide_score, o.num_comments, o.upvote_ratio)::HUGEINT), 0)
    FROM raw.observations AS o JOIN models.training_set AS t USING (post_id, subreddit)
    WHERE o.subreddit = $subreddit AND o.observed_at BETWEEN t.created_at AND t.created_at + $label_age) AS readings
"""
_CHAMPION = """
SELECT m.* FROM (FROM models.champions WHERE subreddit = $subreddit ORDER BY judgement DESC LIMIT 1) AS c
JOIN models.predictors AS m USING (subreddit, predictor, digest) WHERE m.status = 'trained'
"""
_HELD_OUT = f"""
SELECT post_id, expected_log_score FROM {VALIDATION}
WHERE subreddit = $subreddit AND predictor = $predictor AND digest = $digest
"""
_EARLY = f"""
SELECT post_id, {", ".join(COLUMNS)} FROM {READINGS} AS e
WHERE subreddit = $subreddit AND age_hours = $age AND list_contains($post_ids, post_id) ORDER BY post_id
"""
_PARTS = ("train", "validation", "test")
_COUNTS = f"""
SELECT e.age_hours, t.split, count(*) AS posts
FROM {READINGS} AS e JOIN models.training_set AS t USING (post_id, subreddit)
WHERE e.subreddit = $subreddit AND list_contains($parts, t.split) GROUP BY ALL
"""
_STATES = f"FROM {TABLE} WHERE subreddit = $subreddit ORDER BY age_hours, predictor"


@dataclass(frozen=True)
class EarlyStates:
    """The rows of models.early_predictors of a community; `trained_because` says why this call made them."""

    rows: list[dict[str, Any]]
    trained_because: str | None = None

    @property
    def trained(self) -> int:
        """How many are trained, an age and a predictor each."""
        return sum(row["status"] == "trained" for row in self.rows)


def refresh_early_predictors(
    warehouse: Warehouse,
    models: ModelStore,
    subreddit: str,
    encoders: Encoders,
    *,
    label_hours: float,
    seed: int,
    progress: Progress,
    names: Sequence[str] = EARLY_NAMES,
) -> EarlyStates:
    """Train what follows posts, unless it was made from just this; record the outcome.

    What cannot be trained, for want of posts that were read young, is recorded with the numbers. Whether anything
    changed is told by hashes of the readings of the training set.

    Args:
        warehouse: with models.training_set, features.early_readings and the features of predictors.
        models: where the trained predictors are put.
        subreddit: in lower case.
        encoders: networks whose outputs they may learn from.
        label_hours: age at which labels are made.
        seed: of the training.
        progress: told why they are trained, and what they say of it.
        names: those that are trained for each age; the model of the whole curve always is.
    """
    scope = {"subreddit": subreddit}
    with warehouse.read() as reader:
        stored = reader.query(_STATES, scope).to_pylist()
        champions = reader.query(_CHAMPION, scope).to_pylist()
        made_of = reader.query(_MADE_OF, {**scope, "label_age": np.timedelta64(round(label_hours * 3600), "s").item()})
    champion = champions[0] if champions else None
    codes = {name: early_class(name).code_version for name in names}
    parts = {
        "training set": training_sets(warehouse).get(subreddit, ""),
        "readings": tuple(made_of.to_pylist()[0].values()),
        "champion": champion and champion["digest"],
        "code": (versions.EARLY_PREDICTORS, *codes.items()),
        "settings": (label_hours, repr(encoders)),
        "seed": seed,
    }
    made_from = Snapshot(parts, {"inputs": ALL})
    why: str | None = "there is none yet"
    if stored:
        changed = [row for row in stored if not made_from.is_of(row)]
        why = made_from.because(changed[0]) if changed else _lost(stored, models)
    if why is None:
        return EarlyStates(stored)
    progress(f"What follows posts of r/{subreddit} is trained because {why}")
    found: list[_Outcome] = []
    coverage: list[dict[str, Any]] = []
    counts = _counts(warehouse, subreddit)
    if max(own["train_posts"] for own in counts.values()) < LEAST_TRAIN:  # then nobody has to read their features
        for age, own in counts.items():
            reason = f"too few posts with early readings: {own['train_posts']} of {LEAST_TRAIN}"
            found += [_nothing(name, age, own, reason, 0.0) for name in (*names, CURVE)]
    else:
        training = _Training.read(warehouse, models, subreddit, encoders, champion, label_hours, counts, progress)
        found += [training.at_posting(age) for age in FORECAST_AGES] if champion else []
        for age in FORECAST_AGES:
            found += [training.of_an_age(name, age, seed, models) for name in names]
        curves, coverage = training.curves(models)
        found += curves
    same = {**scope, "encoders": json.dumps(asdict(encoders)), "label_hours": label_hours}
    rows = [{**_row(outcome, made_from, champion), **same} for outcome in found if outcome.predictor != AT_POSTING]
    for age in FORECAST_AGES:
        errors = {row["predictor"]: row["validation_mse"] for row in rows if row["age_hours"] == age and row["digest"]}
        for row in rows:
            if row["age_hours"] == age and errors:
                row["speaks"] = row["predictor"] == min(errors, key=lambda name: (errors[name], name))
    with warehouse.write() as writer:
        here = "subreddit = $subreddit"
        empty = {name: writer.query(f"SELECT * FROM {name} LIMIT 0").schema for name in (TABLE, PREDICTIONS, COVERAGE)}
        writer.replace(TABLE, pa.Table.from_pylist(rows, schema=empty[TABLE]), here, scope)
        said = [outcome.table(subreddit).cast(empty[PREDICTIONS]) for outcome in found]
        writer.replace(PREDICTIONS, pa.concat_tables([empty[PREDICTIONS].empty_table(), *said]), here, scope)
        writer.replace(COVERAGE, pa.Table.from_pylist(coverage, schema=empty[COVERAGE]), here, scope)
    return EarlyStates(rows, trained_because=why)


def early_block(warehouse: Readable, subreddit: str, age: int, post_ids: Sequence[str]) -> tuple[list[str], Block]:
    """What the readings of some posts told by an age: the ids of those that have a row, ascending, and their block."""
    rows = warehouse.query(_EARLY, {"subreddit": subreddit, "age": age, "post_ids": list(post_ids)})
    values = np.column_stack(
        [rows.column(name).to_numpy(zero_copy_only=False).astype(np.float32) for name in COLUMNS]
    ).reshape(rows.num_rows, len(COLUMNS))
    return rows.column("post_id").to_pylist(), Block(values, COLUMNS, np.ones(rows.num_rows, dtype=np.bool_))


def beside_early(data: Dataset, post_ids: Sequence[str], early: Block) -> Dataset:
    """The posts of a dataset that have readings, with these as one more block."""
    place = {post_id: number for number, post_id in enumerate(data.post_ids)}
    chosen = data.take(np.array([place[post_id] for post_id in post_ids], dtype=np.intp))
    return replace(chosen, blocks={**chosen.blocks, EARLY: early})


def bounds_of(found: Foreseen) -> dict[str, npt.NDArray[np.float64]]:
    """The last age of a foreseen curve as columns."""
    return {f"{end}_{level}": side[level][:, -1] for level in LEVELS for end, side in _sides(found)}


def _sides(found: Foreseen) -> tuple[tuple[str, Mapping[int, npt.NDArray[np.float64]]], ...]:
    return ("low", found.low), ("high", found.high)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What came of one predictor at one age.

    Attributes:
        posts: (n,) rows of the training set that are judged: of the validation and of the test part.
        expected: (n,) log scores.
        bounds: ends of ranges, (n,) each; NaN where unknown.
        digest: of the files; None where nothing was trained.
        counts: posts with readings, by part.
        validation_mse: None where nothing was trained.
    """

    predictor: str
    age: int
    post_ids: tuple[str, ...]
    split: npt.NDArray[np.str_]
    expected: npt.NDArray[np.float64]
    bounds: Mapping[str, npt.NDArray[np.float64]]
    digest: str | None
    counts: Mapping[str, int]
    validation_mse: float | None = None
    seconds: float = 0.0
    reason: str | None = None

    def table(self, subreddit: str) -> pa.Table:
        """Rows of models.early_predictions."""
        n = len(self.post_ids)
        return pa.table(
            {
                "post_id": pa.array(self.post_ids, pa.string()),
                "subreddit": pa.array([subreddit] * n, pa.string()),
                "predictor": pa.array([self.predictor] * n, pa.string()),
                "age_hours": pa.array([self.age] * n, pa.int32()),
                "split": pa.array(self.split.tolist(), pa.string()),
                "digest": pa.array([self.digest] * n, pa.string()),
                "expected_log_score": pa.array(self.expected, pa.float64()),
                **{name: pa.array(self.bounds[name], pa.float64(), from_pandas=True) for name in BOUNDS},
            }
        )


@dataclass(frozen=True, eq=False)
class _Training:
    """The training set of a community, with what was read of each post and what the champion said of it."""

    subreddit: str
    data: Dataset
    split: npt.NDArray[np.str_]
    early: Mapping[int, tuple[list[str], Block]]
    champion: Mapping[str, Any] | None
    posting: npt.NDArray[np.float64]
    curve: CurvePosts
    label_hours: float
    counts: Mapping[int, Mapping[str, int]]
    progress: Progress

    @classmethod
    def read(
        cls,
        warehouse: Warehouse,
        models: ModelStore,
        subreddit: str,
        encoders: Encoders,
        champion: Mapping[str, Any] | None,
        label_hours: float,
        counts: Mapping[int, Mapping[str, int]],
        progress: Progress,
    ) -> _Training:
        """All of it; memory grows with the training set, as that of predictors."""
        blocks = sorted(frozenset().union(*(early_class(name).uses for name in EARLY_NAMES)) - {EARLY})
        data, split = read_split(warehouse, subreddit, encoders, blocks)
        posting = _at_posting(warehouse, models, subreddit, champion, data, split)
        with warehouse.read() as reader:
            readings = read_readings(reader, data.post_ids, last=int(np.ceil(label_hours)))
        labels = data.labels.astype(np.float64)
        return cls(
            subreddit,
            data,
            split,
            {age: early_block(warehouse, subreddit, age, data.post_ids) for age in FORECAST_AGES},
            champion,
            posting,
            CurvePosts(readings, data.created_at, labels, np.where(split == "train", np.nan, posting)),
            label_hours,
            counts,
            progress,
        )

    def judged(self, age: int) -> npt.NDArray[np.intp]:
        """Rows of the validation and of the test part with readings by an age."""
        return np.flatnonzero(self._read(age) & np.isin(self.split, ("validation", "test")))

    def at_posting(self, age: int) -> _Outcome:
        """What the champion said of the posts that are judged at an age."""
        assert self.champion is not None
        rows = self.judged(age)
        held_out = np.flatnonzero((self.split == "validation") & np.isfinite(self.posting))
        rows = rows[np.isfinite(self.posting[rows])]
        calibration = Calibration.fit(self.posting[held_out], self.curve.labels[held_out])
        return self._outcome(
            AT_POSTING,
            age,
            rows,
            self.posting[rows],
            calibration.intervals(self.posting[rows]),
            self.champion["digest"],
        )

    def of_an_age(self, name: str, age: int, seed: int, models: ModelStore) -> _Outcome:
        """Train one predictor of one age."""
        began = time.perf_counter()
        post_ids, block = self.early[age]
        data = beside_early(self.data, post_ids, block)
        split = self.split[self._read(age)]
        kind = early_class(name)
        data = replace(data, blocks={one: data.blocks[one] for one in data.blocks if one in kind.uses})
        predictor = kind(seed=seed, progress=self.progress)
        train, validation = (data.select(split == part) for part in ("train", "validation"))
        try:
            report = predictor.fit(train, validation)
        except NotTrainable as error:
            return self._nothing(name, age, str(error), began)
        with models.new(self.subreddit, name) as kept:
            predictor.save(kept.folder)
        test = data.select(split == "test")
        calibration = Calibration.fit(report.validation_prediction, validation.labels.astype(np.float64))
        place = {post_id: row for row, post_id in enumerate(self.data.post_ids)}
        rows = np.array([place[post_id] for post_id in (*validation.post_ids, *test.post_ids)], dtype=np.intp)
        expected = np.concatenate([report.validation_prediction, predictor.predict(test)])
        return self._outcome(name, age, rows, expected, calibration.intervals(expected), kept.digest, began)

    def curves(self, models: ModelStore) -> tuple[list[_Outcome], list[dict[str, Any]]]:
        """Train the model of the whole curve; what it says at each age, and the rows of models.early_coverage."""
        began = time.perf_counter()
        train, validation = (np.flatnonzero(self.split == part) for part in ("train", "validation"))
        try:
            model, held_out = CurveModel.fit(self.curve.select(train), self.curve.select(validation), self.label_hours)
        except NotTrainable as error:
            return [self._nothing(CURVE, age, str(error), began) for age in FORECAST_AGES], []
        with models.new(self.subreddit, CURVE) as kept:
            model.save(kept.folder)
        outcomes, coverage = [], []
        for age in FORECAST_AGES:
            rows = self.judged(age)
            of_test = rows[self.split[rows] == "test"]
            of_validation = rows[self.split[rows] == "validation"]
            test = self.curve.select(of_test)
            targets = [knot for knot in model.knots.scores if knot > age]
            found = model.foresee(test.known_by(model.knots, age), age, targets)
            crossed = held_out[age].expected[np.searchsorted(validation, of_validation), -1]
            unknown = np.full(len(of_validation), np.nan)
            bounds = {name: np.concatenate([unknown, values]) for name, values in bounds_of(found).items()}
            expected = np.concatenate([crossed, found.expected[:, -1]])
            rows = np.concatenate([of_validation, of_test])
            outcomes.append(self._outcome(CURVE, age, rows, expected, bounds, kept.digest, began))
            coverage += [
                {"subreddit": self.subreddit, "age_hours": age, "digest": kept.digest, **row}
                for row in _coverage(model, test, found)
            ]
        return outcomes, coverage

    def _read(self, age: int) -> npt.NDArray[np.bool_]:
        return np.isin(np.asarray(self.data.post_ids, dtype=np.str_), np.asarray(self.early[age][0], dtype=np.str_))

    def _nothing(self, name: str, age: int, reason: str, began: float) -> _Outcome:
        self.progress(f"{name} at {age} h: not trained: {reason}")
        return _nothing(name, age, self.counts[age], reason, time.perf_counter() - began)

    def _outcome(
        self,
        name: str,
        age: int,
        rows: npt.NDArray[np.intp],
        expected: npt.NDArray[np.float64],
        bounds: Mapping[str, npt.NDArray[np.float64]],
        digest: str,
        began: float | None = None,
    ) -> _Outcome:
        validation = self.split[rows] == "validation"
        off = (expected - self.curve.labels[rows])[validation]
        seconds = 0.0 if began is None else time.perf_counter() - began
        error = float((off**2).mean()) if len(off) else None
        ids = tuple(self.data.post_ids[row] for row in rows)
        return _Outcome(name, age, ids, self.split[rows], expected, bounds, digest, self.counts[age], error, seconds)


def _nothing(name: str, age: int, counts: Mapping[str, int], reason: str, seconds: float) -> _Outcome:
    """That a predictor is not trained."""
    none = np.zeros(0)
    bounds = dict.fromkeys(BOUNDS, none)
    return _Outcome(name, age, (), none.astype(np.str_), none, bounds, None, counts, None, seconds, reason)


def _counts(warehouse: Warehouse, subreddit: str) -> dict[int, dict[str, int]]:
    """Posts with readings by each age, by part."""
    found = {age: {f"{part}_posts": 0 for part in _PARTS} for age in FORECAST_AGES}
    for row in warehouse.query(_COUNTS, {"subreddit": subreddit, "parts": list(_PARTS)}).to_pylist():
        found[row["age_hours"]][f"{row['split']}_posts"] = row["posts"]
    return found


def _at_posting(
    warehouse: Warehouse,
    models: ModelStore,
    subreddit: str,
    champion: Mapping[str, Any] | None,
    data: Dataset,
    split: npt.NDArray[np.str_],
) -> npt.NDArray[np.float64]:
    """(n,) what the champion expects of posts that it was not fitted on: validation, as it was held out, and test."""
    found = np.full(len(data), np.nan)
    if champion is None:
        return found
    place = {post_id: row for row, post_id in enumerate(data.post_ids)}
    held_out = warehouse.query(_HELD_OUT, {name: champion[name] for name in OF_MODEL}).to_pylist()
    for row in held_out:
        if row["post_id"] in place:
            found[place[row["post_id"]]] = row["expected_log_score"]
    test = [post_id for post_id, part in zip(data.post_ids, split.tolist(), strict=True) if part == "test"]
    if test:
        predictor = load_predictor(models.folder(subreddit, champion["predictor"], champion["digest"]))
        asked = read_dataset(warehouse, subreddit, encoders_of(champion), champion["blocks"], test)
        found[[place[post_id] for post_id in asked.post_ids]] = predictor.predict(asked)
    return found


def _coverage(model: CurveModel, test: CurvePosts, found: Foreseen) -> list[dict[str, Any]]:
    """How right a foreseen curve is at each age to come."""
    rows = []
    for place, target in enumerate(found.ages.tolist()):
        seen = test.seen_at(target, model.knots)
        known = np.isfinite(seen)
        if not known.any():
            continue
        inside = {
            f"coverage_{level}": _share(seen[known], found.low[level][known, place], found.high[level][known, place])
            for level in LEVELS
        }
        width = float((found.high[80] - found.low[80])[known, place].mean())
        rows.append(
            {
                "target_hours": round(target),
                "posts": int(known.sum()),
                "mae": float(np.abs(found.expected[known, place] - seen[known]).mean()),
                **inside,
                "mean_width_80": width if np.isfinite(width) else None,
            }
        )
    return rows


def _share(seen: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> float | None:
    return (
        float(((low <= seen) & (seen <= high)).mean()) if np.isfinite(low).all() and np.isfinite(high).all() else None
    )


def _row(outcome: _Outcome, made_from: Snapshot, champion: Mapping[str, Any] | None) -> dict[str, Any]:
    """A row of models.early_predictors, without what all of a community share."""
    return {
        "predictor": outcome.predictor,
        "age_hours": outcome.age,
        "status": "not_trained" if outcome.digest is None else "trained",
        "reason": outcome.reason,
        **made_from.columns,
        "digest": outcome.digest,
        "speaks": False,
        "posting_predictor": champion and champion["predictor"],
        "posting_digest": champion and champion["digest"],
        **outcome.counts,
        "validation_mse": outcome.validation_mse,
        "train_seconds": outcome.seconds,
        "trained_at": utc_now(),
    }


def _lost(rows: Sequence[Mapping[str, Any]], models: ModelStore) -> str | None:
    """What trained ones lack though nothing changed, and so are made again for; None if nothing."""
    try:
        for row in rows:
            if row["digest"] is not None:
                models.folder(row["subreddit"], row["predictor"], row["digest"])
    except ArtifactError:
        return "files are lost or damaged"
    return None

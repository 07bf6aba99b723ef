"""`early_curve`: one model of the whole life of a score, from posting to the label age, with a range at every age.

Of each post there is a vector nobody sees: its log score at some ages (`Knots`), up to the label age, its log
comments at a few, its share of upvotes, and what the champion expected of it at posting. Vectors of a community are
normal with one mean and one covariance. A reading is a noisy look at the vector: between two ages it lies linearly in
the logarithm of age. So

- whatever was read of a post, at whatever ages, is evidence of the same kind, and what is to come is the conditional
  mean and deviation given what was read *by then*: readings by an age are taken out of all readings first;
- a hidden score is no evidence, the comments beside it are; scores of few points say little on a logarithmic scale and
  are trusted as little; without any reading what is left is the forecast at posting;
- mean and covariance come from posts of which each was read in its own way (EM for normal data with missing values:
  Dempster, Laird & Rubin 1977; Little & Rubin 2002, section 11), held near a smooth prior where posts are few. What the
  champion expected is known of the validation part alone, since it was fitted on the train part: of all others it is
  missing, and nothing leaks.

Scores of posts that stand hardly ever fall: what is expected at an age, and both ends of a range, are no less than at
any earlier age that is still to come.

Ranges are conformal (`redpop_assets.predictors.parts.conformal`), of errors in units of the deviation (Lei et al. 2018,
section 5.2), for each age that has been reached and each age to come. The residuals are those of the validation part,
from a model that was fitted with the other half of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from redpop_assets import versions
from redpop_assets.arrays import np, npt
from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.features.early import FORECAST_AGES, Readings, signed_log
from redpop_assets.predictors.parts.conformal import FEWEST_IN_A_BIN, Calibration

if TYPE_CHECKING:
    from pathlib import Path

SCORE_AGES: Final = (0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0)
"""Ages at which the log score is a number of the vector, as far as they are well below the label age (hours)."""

COMMENT_AGES: Final = (1.0, 6.0, 24.0)
"""Ages at which the log number of comments is one (hours)."""

LEAST_TRAIN, LEAST_VALIDATION = 100, 20
"""Posts with readings, as many as other predictors need."""

MOST_POSTS: Final = 4_000
"""Posts that are learnt from, the newest ones: memory is some 3 kB each."""

MOST_ROUNDS: Final = 25
PRIOR_POSTS: Final = 12.0
"""How many posts the prior covariance counts as."""

NOISE: Final[Mapping[str, float]] = {"score": 0.05, "comments": 0.05, "ratio": 0.01, "posting": 0.05, "label": 0.03}
"""Deviation of a reading beyond rounding: vote fuzzing is a few percent of a score."""

ROUNDING: Final = 0.3
"""Deviation of what rounding to whole points does, which is uniform (points)."""

NEAR: Final = 0.1
"""A reading is one of a target age if it is at most so far from it, as a share of the age."""

_LOOKS_AT_ONCE: Final = 8_192

FILE, DETAILS = "curve.safetensors", "curve.json"

Doubles: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True)
class Knots:
    """What the vector of a post consists of.

    Attributes:
        label_hours: age at which labels are made.
    """

    label_hours: float

    @property
    def scores(self) -> tuple[float, ...]:
        """Ages of the log scores, the label age last."""
        return (*(age for age in SCORE_AGES if age <= 0.7 * self.label_hours), self.label_hours)

    @property
    def width(self) -> int:
        """Numbers in the vector: scores, comments, share of upvotes, forecast at posting."""
        return len(self.scores) + len(COMMENT_AGES) + 2

    def of_score(self, age: Doubles) -> Doubles:
        """(m, width) where log scores at some ages lie in the vector."""
        return self._between(age, self.scores, 0)

    def of_comments(self, age: Doubles) -> Doubles:
        """Likewise of log comments."""
        return self._between(age, COMMENT_AGES, len(self.scores))

    def of_ratio(self, length: int) -> Doubles:
        """Likewise of the share of upvotes."""
        return self._one(length, self.width - 2)

    def of_posting(self, length: int) -> Doubles:
        """Likewise of what the champion expected at posting."""
        return self._one(length, self.width - 1)

    def _one(self, length: int, at: int) -> Doubles:
        weights = np.zeros((length, self.width))
        weights[:, at] = 1.0
        return weights

    def _between(self, age: Doubles, knots: Sequence[float], first: int) -> Doubles:
        places = np.interp(np.log(np.maximum(age, 1e-3)), np.log(knots), np.arange(len(knots)))
        left = np.minimum(places.astype(np.int64), len(knots) - 2)
        weights = np.zeros((len(age), self.width))
        rows = np.arange(len(age))
        weights[rows, first + left] = 1 - (places - left)
        weights[rows, first + left + 1] = places - left
        return weights


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of n posts, as the sums that a normal vector is conditioned by.

    Attributes:
        precision: (n, d, d) sum of outer products of the looks over their variances.
        weighted: (n, d) sum of the looks times what was seen, over the variances.
    """

    precision: Doubles
    weighted: Doubles

    @classmethod
    def of(
        cls,
        knots: Knots,
        readings: Readings,
        length: int,
        *,
        posting: Doubles | None = None,
        labels: Doubles | None = None,
    ) -> Self:
        """Of posts that are numbered from 0.

        Args:
            knots: of the vector.
            readings: those that count, and no others; ages beyond the label age are left out.
            length: n.
            posting: (n,) log scores that the champion expected; NaN where it was fitted on the post, or is unknown.
            labels: (n,) log scores at the label age, to learn from; None where they are not known.
        """
        found = cls(np.zeros((length, knots.width, knots.width)), np.zeros((length, knots.width)))
        some = readings.of((readings.age_hours >= 0) & (readings.age_hours < knots.label_hours))
        for name, values, looks in (
            ("score", some.score, knots.of_score(some.age_hours)),
            ("comments", some.comments, knots.of_comments(some.age_hours)),
        ):
            # Rounding and fuzz are of points: on a logarithmic scale they are large where points are few.
            variance = NOISE[name] ** 2 + (ROUNDING / (1 + np.abs(values))) ** 2
            found._add(some.post, looks, signed_log(values), variance)
        last = some.of(np.lexsort((some.age_hours, some.post)))
        newest = np.flatnonzero(np.append(last.post[1:] != last.post[:-1], True)) if len(last) else np.zeros(0, int)
        found._add_one(last.post[newest], knots.of_ratio(len(newest)), last.upvote_ratio[newest], "ratio")
        everybody = np.arange(length)
        if posting is not None:
            found._add_one(everybody, knots.of_posting(length), posting, "posting")
        if labels is not None:
            found._add_one(everybody, knots.of_score(np.full(length, knots.label_hours)), labels, "label")
        return found

    def select(self, rows: npt.NDArray[Any]) -> Evidence:
        """Some of the posts."""
        return Evidence(self.precision[rows], self.weighted[rows])

    def joined(self, other: Evidence) -> Evidence:
        """These posts, and then those."""
        return Evidence(
            np.concatenate([self.precision, other.precision]), np.concatenate([self.weighted, other.weighted])
        )

    def _add_one(self, post: npt.NDArray[Any], looks: Doubles, values: Doubles, name: str) -> None:
        self._add(post, looks, values, np.full(len(values), NOISE[name] ** 2))

    def _add(self, post: npt.NDArray[Any], looks: Doubles, values: Doubles, variance: Doubles) -> None:
        known = np.isfinite(values)
        post, looks, values, variance = post[known], looks[known], values[known], variance[known]
        for first in range(0, len(post), _LOOKS_AT_ONCE):
            some = slice(first, first + _LOOKS_AT_ONCE)
            scaled = looks[some] / variance[some, None]
            np.add.at(self.precision, post[some], scaled[:, :, None] * looks[some][:, None, :])
            np.add.at(self.weighted, post[some], scaled * values[some, None])


@dataclass(frozen=True, eq=False)
class Population:
    """The normal distribution of the vectors of a community: (d,) mean and (d, d) covariance."""

    mean: Doubles
    covariance: Doubles

    @classmethod
    def prior(cls, knots: Knots, typical: float) -> Self:
        """Smooth curves to a typical log score, known to nobody well.

        Args:
            knots: of the vector.
            typical: median label.
        """
        share = np.linspace(0.4, 1.0, len(knots.scores))
        mean = np.concatenate([typical * share, typical * np.linspace(0.3, 0.6, len(COMMENT_AGES)), [0.9, typical]])
        place = np.log(np.array([*knots.scores, *COMMENT_AGES, 1.0, knots.label_hours]))
        spread = np.concatenate([np.full(len(knots.scores), 1.2), np.full(len(COMMENT_AGES), 0.9), [0.08, 0.8]])
        alike = np.exp(-np.abs(place[:, None] - place[None, :]) / 4)
        kind = np.repeat(np.arange(4), [len(knots.scores), len(COMMENT_AGES), 1, 1])
        # Curves of one kind are alike; comments and the forecast at posting go with the score, the ratio hardly.
        together = np.array([[1.0, 0.6, 0.1, 0.5], [0.6, 1.0, 0.1, 0.3], [0.1, 0.1, 1.0, 0.1], [0.5, 0.3, 0.1, 1.0]])
        return cls(mean, alike * together[kind][:, kind] * spread[:, None] * spread[None, :])

    def fit(self, evidence: Evidence) -> Population:
        """Mean and covariance given the evidence of n posts, this one being the prior and the first guess."""
        found, n = self, len(evidence.weighted)
        for _ in range(MOST_ROUNDS):
            means, variances = found.given(evidence)
            centre = means.mean(axis=0)
            apart = means - centre
            scatter = variances.sum(axis=0) + apart.T @ apart + PRIOR_POSTS * self.covariance
            before, found = found, Population(centre, scatter / (n + PRIOR_POSTS))
            if np.abs(found.mean - before.mean).max() < 1e-4 and np.allclose(
                found.covariance, before.covariance, rtol=0, atol=1e-3
            ):
                break
        return found

    def given(self, evidence: Evidence) -> tuple[Doubles, Doubles]:
        """(n, d) conditional means and (n, d, d) covariances."""
        inverse = np.linalg.inv(self.covariance)
        variances = np.linalg.inv(inverse + evidence.precision)
        pulled = inverse @ self.mean + evidence.weighted
        return np.einsum("nij,nj->ni", variances, pulled), np.asarray(variances, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Foreseen:
    """What is expected of n posts at k ages to come, ascending.

    Attributes:
        ages: (k,) hours.
        expected: (n, k) log scores, not falling with the age.
        low, high: level in percent -> (n, k) ends of ranges, NaN where too few posts could tell; not falling either.
    """

    ages: Doubles
    expected: Doubles
    low: Mapping[int, Doubles]
    high: Mapping[int, Doubles]


@dataclass(frozen=True, eq=False)
class CurveModel:
    """A fitted model; make one with `fit` or `load`.

    Attributes:
        knots: of the vectors.
        population: their distribution.
        errors: errors of the validation part in units of the deviation, ascending, by "reached-target": the age of
            `FORECAST_AGES` that had been reached, 0 below the first, and the knot that was expected.
    """

    knots: Knots
    population: Population
    errors: Mapping[str, Doubles]

    @classmethod
    def fit(cls, train: CurvePosts, validation: CurvePosts, label_hours: float) -> tuple[Self, dict[int, Foreseen]]:
        """Learn from posts with labels.

        Args:
            train: no forecast at posting is known of these.
            validation: later posts; half of them join the train part to say how far off it is on the other half.
            label_hours: age at which labels are made.

        Returns:
            The model of all posts, and age reached -> what models of the other half had expected of the validation
            part, with no ranges.

        Raises:
            NotTrainable: too few posts were read while they were young.
        """
        for part, least in ((train, LEAST_TRAIN), (validation, LEAST_VALIDATION)):
            read = len(np.unique(part.readings.by(max(FORECAST_AGES)).post))
            if read < least:
                raise NotTrainable(f"too few posts with early readings: {read} of {least}")
        knots = Knots(label_hours)
        train = train.newest(MOST_POSTS)
        prior = Population.prior(knots, float(np.median(train.labels)))
        learnt, held_out = train.evidence(knots), validation.evidence(knots)
        halves = [np.arange(len(validation)) % 2 == half for half in (0, 1)]
        fitted = [prior.fit(learnt.joined(held_out.select(~half))) for half in halves]
        errors: dict[str, Doubles] = {}
        expected: dict[int, Foreseen] = {}
        for reached in (0, *FORECAST_AGES):
            targets = np.array([age for age in knots.scores if age > reached])
            looks = validation.known_by(knots, reached)
            parts = [_ahead(one, knots, looks.select(half), targets) for one, half in zip(fitted, halves, strict=True)]
            means, deviations = np.empty((len(validation), len(targets))), np.empty((len(validation), len(targets)))
            for half, (mean, deviation) in zip(halves, parts, strict=True):
                means[half], deviations[half] = mean, deviation
            expected[reached] = Foreseen(targets, means, {}, {})
            for place, target in enumerate(targets):
                seen = validation.seen_at(target, knots)
                known = np.isfinite(seen)
                off = (seen[known] - means[known, place]) / deviations[known, place]
                errors[_name(reached, target)] = np.sort(off)
        return cls(knots, prior.fit(learnt.joined(held_out)), errors), expected

    def foresee(self, evidence: Evidence, reached: float, ages: Sequence[float]) -> Foreseen:
        """What is expected of n posts.

        Args:
            evidence: of what was read by then, and of the forecast at posting.
            reached: age by which that was (hours).
            ages: to come, ascending.
        """
        targets = np.asarray(ages, dtype=np.float64)
        mean, deviation = _ahead(self.population, self.knots, evidence, targets)
        stage = max((age for age in (0, *FORECAST_AGES) if age <= reached), default=0)
        bounds = [self._bounds(stage, target) for target in targets]
        low, high = ({}, {})  # type: ignore[var-annotated]
        for level in LEVELS:
            for side, found in (("low", low), ("high", high)):
                off = np.array([one[f"{side}_{level}"] for one in bounds])
                found[level] = np.maximum.accumulate(mean + deviation * off, axis=1)
        return Foreseen(targets, mean, low, high)

    def _bounds(self, stage: int, target: float) -> dict[str, float]:
        """Ends of ranges in units of the deviation, of the knot that is nearest to a target."""
        knots = [age for age in self.knots.scores if age > stage]
        nearest = min(knots, key=lambda age: abs(np.log(age / target)))
        errors = self.errors[_name(stage, nearest)]
        if len(errors) < FEWEST_IN_A_BIN:  # then of all ages to come together
            errors = np.concatenate([self.errors[_name(stage, age)] for age in knots])
        found = Calibration.fit(np.zeros(len(errors)), errors).intervals(np.zeros(1))
        return {name: float(values[0]) for name, values in found.items()}

    def save(self, folder: Path) -> None:
        """Write JSON and safetensors; equal fits write equal bytes."""
        from safetensors.numpy import save_file

        arrays = {"mean": self.population.mean, "covariance": self.population.covariance}
        save_file({**arrays, **{f"errors.{name}": found for name, found in self.errors.items()}}, folder / FILE)
        details = {"code_version": versions.EARLY_PREDICTORS, "label_hours": self.knots.label_hours}
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: it is missing, damaged, or of another version.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
            if details["code_version"] != versions.EARLY_PREDICTORS:
                raise ArtifactError(f"{folder} was written by another version of RedPop: run `redpop materialize`.")
            arrays = load_file(folder / FILE)
            errors = {name.removeprefix("errors."): found for name, found in arrays.items() if "." in name}
            return cls(Knots(details["label_hours"]), Population(arrays["mean"], arrays["covariance"]), errors)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ArtifactError(f"{folder} holds no model of curves ({error}): train it again") from error


@dataclass(frozen=True, eq=False)
class CurvePosts:
    """n posts with all that was read of them up to the label age.

    Attributes:
        readings: of the posts, numbered from 0.
        created_at: (n,) datetime64[s].
        labels: (n,) log scores at the label age.
        posting: (n,) what the champion expected at posting; NaN where it was fitted on the post, or is unknown.
    """

    readings: Readings
    created_at: npt.NDArray[np.datetime64]
    labels: Doubles
    posting: Doubles

    def __len__(self) -> int:
        return len(self.labels)

    def newest(self, most: int) -> CurvePosts:
        """The newest posts, at most so many."""
        return self.select(np.sort(np.argsort(self.created_at, kind="stable")[-most:]))

    def select(self, rows: npt.NDArray[Any]) -> CurvePosts:
        """Some of the posts, by number or flag, in that order."""
        numbers = np.arange(len(self))[rows]
        place = np.full(len(self), -1)
        place[numbers] = np.arange(len(numbers))
        kept = self.readings.of(place[self.readings.post] >= 0)
        moved = Readings(**{**vars(kept), "post": place[kept.post]})
        return CurvePosts(moved, self.created_at[numbers], self.labels[numbers], self.posting[numbers])

    def evidence(self, knots: Knots) -> Evidence:
        """Everything, to learn from."""
        return Evidence.of(knots, self.readings, len(self), posting=self.posting, labels=self.labels)

    def known_by(self, knots: Knots, age: float) -> Evidence:
        """What was known at an age: readings by then, and the forecast at posting."""
        read = self.readings.by(age) if age else self.readings.of(np.zeros(0, dtype=np.intp))
        return Evidence.of(knots, read, len(self), posting=self.posting)

    def seen_at(self, target: float, knots: Knots) -> Doubles:
        """(n,) log scores in the reading nearest to an age, or labels at the label age; NaN where none is near."""
        if target == knots.label_hours:
            return self.labels
        some = self.readings.of(
            (np.abs(self.readings.age_hours - target) <= NEAR * target) & np.isfinite(self.readings.score)
        )
        order = np.lexsort((-np.abs(some.age_hours - target), some.post))
        found = np.full(len(self), np.nan)
        found[some.post[order]] = signed_log(some.score[order])  # of several the last one holds: the nearest
        return found


def _ahead(population: Population, knots: Knots, evidence: Evidence, targets: Doubles) -> tuple[Doubles, Doubles]:
    """(n, k) expected log scores, not falling with the age, and deviations of what will be read."""
    means, variances = population.given(evidence)
    looks = knots.of_score(targets)
    expected = np.maximum.accumulate(means @ looks.T, axis=1)
    variance = np.einsum("ki,nij,kj->nk", looks, variances, looks)
    rounding = (ROUNDING / (1 + np.expm1(np.clip(np.abs(expected), 0, 15)))) ** 2
    return expected, np.sqrt(variance + NOISE["score"] ** 2 + rounding)


def _name(stage: int, target: float) -> str:
    return f"{stage}-{target:g}"

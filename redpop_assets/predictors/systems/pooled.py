"""`pooled_fusion`: what posts of all communities say, bent to the taste of one.

RedPop's own, for communities with few posts: partial pooling (Gelman & Hill 2007, chapter 12) of a strong learner, by
offsets. In order:

1. The posts of the other communities are brought onto one scale: a score becomes its percentile in its community, as a
   deviation of a normal distribution (level and spread of a community are its own), and inputs that read a
   community's past (`Family.past`) become deviations from its mean. A learner of this house, the member, is trained on
   all of them together, and stopped by the newest `STOPPING_SHARE`.
2. What it says of this community's posts is out of sample, as it has seen none of them. Level and slope of the
   scores over it come from the train part: the slope is shrunken towards 1 (in deviations of the scores here), as if
   `PRIOR_POSTS` more posts had it.
3. The same member learns from this community alone what is left over: where it differs from the others. A share of
   that is added: the one, of `STRENGTHS`, of the least squared error on the validation part. Below the member's own
   fewest posts nothing is.

Posts of others are no newer than the train part, and none shows a picture of this community (`Predictor.fit`): whatever
the test part is kept from, they are kept from. A post that lacks a block is predicted as the member does.
Memory: the posts that are borrowed, and twice what the member needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from redpop_assets.arrays import np
from redpop_assets.errors import NotTrainable
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats, joined
from redpop_assets.predictors.registry import predictor_class

STOPPING_SHARE: Final = 0.15
PRIOR_POSTS: Final = 30
STRENGTHS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
EVERYBODY: Final = "everybody"
RELATIVE: Final = frozenset(name for name, family in BLOCKS.items() if family.past != "nothing")
"""Blocks that are on the scale of a community: they read its past."""
DETAILS, SCALES = "pooled.json", "scales.safetensors"


@dataclass(frozen=True, eq=False)
class Scale:
    """Moments of the blocks of a community that are on its own scale: block -> mean and deviation, (d,) float32."""

    moments: Mapping[str, tuple[Floats, Floats]]

    @classmethod
    def of(cls, data: Dataset) -> Scale:
        """Those of some posts of it."""
        return cls({name: data.blocks[name].moments() for name in sorted(RELATIVE & set(data.blocks))})

    def relative(self, data: Dataset) -> Dataset:
        """Posts of it, with these blocks in deviations from the mean; 0 where all were the same, unknown stays so."""
        blocks = dict(data.blocks)
        for name, (mean, deviation) in self.moments.items():
            block = blocks[name]
            values = (block.values - mean) / np.where(deviation > 0, deviation, np.inf)
            blocks[name] = Block(values.astype(np.float32), block.columns, block.present)
        return replace(data, blocks=blocks)


class PooledFusion(Predictor):
    """CatBoost over everything known, over the posts of all communities, and over what they leave over here."""

    member: ClassVar[str] = "catboost_fusion"
    name = "pooled_fusion"
    title = "CatBoost over everything known of the posts of all communities, bent to this one by what they leave over"
    requires = predictor_class(member).requires
    uses = predictor_class(member).uses
    code_version = "-".join(("1", predictor_class(member).code_version))
    library = "catboost"
    borrows = True
    minimum_train = 30
    minimum_validation = 10

    everybody: Predictor
    """Learnt from the others: expected deviations, of a normal distribution, within a community."""
    own: Predictor | None
    """Learnt from what is left over here; None where posts were too few."""
    scale: Scale
    level: float
    slope: float
    strength: float

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        return self._fit_beside(train, validation, ())

    def _fit_beside(self, train: Dataset, validation: Dataset, others: Sequence[Dataset]) -> Training:
        pool = joined([_on_one_scale(other) for other in others], EVERYBODY)
        pool = pool.take(np.argsort(pool.created_at, kind="stable"))
        stopping = np.arange(len(pool)) >= len(pool) - round(STOPPING_SHARE * len(pool))
        kind = predictor_class(self.member)
        self.everybody = kind(seed=self.seed)
        try:
            report = self.everybody.fit(pool.select(~stopping), pool.select(stopping))
        except NotTrainable as error:
            raise NotTrainable(f"others lend too little: {error}") from error

        self.scale = Scale.of(train)
        train, validation = self.scale.relative(train), self.scale.relative(validation)
        labels, held_out = train.labels.astype(np.float64), validation.labels.astype(np.float64)
        self.level, self.slope = _line(self.everybody.predict(train), labels)
        offset, held_out_offset = self._offset(train), self._offset(validation)
        self.own, self.strength = None, 0.0
        told, why = held_out_offset, ""
        try:
            own = kind(seed=self.seed)
            left = own.fit(_labelled(train, labels - offset), _labelled(validation, held_out - held_out_offset))
        except NotTrainable as error:
            why = f"; nothing of its own: {error}"
        else:
            self.strength = _strength(left.validation_prediction, held_out - held_out_offset)
            self.own = own if self.strength else None
            told = held_out_offset + self.strength * left.validation_prediction
        return Training(
            told,
            rounds=report.rounds,
            rounds_of=report.rounds_of,
            notes=(
                f"borrowed from {len(others)} others: {len(pool)} posts",
                f"{self.strength:.0%} of what this community has of its own{why}",
            ),
        )

    def _predict(self, data: Dataset) -> Doubles:
        data = self.scale.relative(data)
        offset = self._offset(data)
        return offset if self.own is None else offset + self.strength * self.own.predict(data)

    def _offset(self, data: Dataset) -> Doubles:
        """What all communities together expect of posts here."""
        return np.asarray(self.level + self.slope * self.everybody.predict(data))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        details = {"level": self.level, "slope": self.slope, "strength": self.strength}
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        tensors: dict[str, Any] = {}
        for name, (mean, deviation) in self.scale.moments.items():
            tensors[f"mean.{name}"], tensors[f"deviation.{name}"] = mean, deviation
        save_file(tensors, folder / SCALES)
        files = [DETAILS, SCALES]
        for part, member in self._members().items():
            member.save(folder / part)
            files += [f"{part}/{path.name}" for path in sorted((folder / part).iterdir())]
        return files

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
        self.level, self.slope, self.strength = (details[name] for name in ("level", "slope", "strength"))
        tensors = load_file(folder / SCALES)
        names = [name.removeprefix("mean.") for name in tensors if name.startswith("mean.")]
        self.scale = Scale({name: (tensors[f"mean.{name}"], tensors[f"deviation.{name}"]) for name in sorted(names)})
        kind = predictor_class(self.member)
        self.everybody = kind.load(folder / EVERYBODY)
        self.own = kind.load(folder / "own") if self.strength else None

    def _members(self) -> dict[str, Predictor]:
        return {EVERYBODY: self.everybody, **({} if self.own is None else {"own": self.own})}


class PooledFusionMetadata(PooledFusion):
    """The same of LightGBM that does not look at pictures."""

    member = "metadata_boosting"
    name = "pooled_fusion_metadata"
    title = "Boosting on metadata over the posts of all communities, bent to this one by what they leave over"
    requires = predictor_class(member).requires
    uses = predictor_class(member).uses
    code_version = "-".join(("1", predictor_class(member).code_version))
    library = "lightgbm"


def normal_scores(values: Doubles) -> Doubles:
    """(n,) percentiles of n values, (rank - 1/2) / n with average ranks, as deviations of a normal distribution."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)))


def _on_one_scale(other: Dataset) -> Dataset:
    return _labelled(Scale.of(other).relative(other), normal_scores(other.labels.astype(np.float64)))


def _labelled(data: Dataset, labels: Doubles) -> Dataset:
    return replace(data, log_score=labels.astype(np.float32))


def _line(said: Doubles, labels: Doubles) -> tuple[float, float]:
    """Level and slope of labels over what was said of them out of sample.

    Args:
        said: (n,) expected deviations.
        labels: (n,) log scores.
    """
    centred, spread = said - said.mean(), float(labels.std())
    weight = float((centred**2).sum())
    prior = PRIOR_POSTS * weight / len(said)
    slope = (float(centred @ (labels - labels.mean())) + prior * spread) / max(weight + prior, 1e-12)
    return float(labels.mean() - slope * said.mean()), slope


def _strength(said: Doubles, left: Doubles) -> float:
    """Which share of what was said of left-over scores is added: of `STRENGTHS` that of the least squared error."""
    errors = [float(((left - strength * said) ** 2).mean()) for strength in STRENGTHS]
    return STRENGTHS[int(np.argmin(errors))]

"""`early_growth` and `early_loglinear`: what one number, the score so far, says of the score to come.

Origin: Szabo & Huberman 2010 ("Predicting the popularity of online content", Communications of the ACM 53): scores at
two ages are linear in each other on a logarithmic scale. `early_growth` is their constant scaling model: the score so
far times the growth of the community from that age, here the median over the train part. `early_loglinear` leaves the
slope free, too, and knows how old the reading is. Both work on ln(1 + score), so that a score of 0 has one.

A post whose score is hidden gets the median of the train part: these two look at nothing else.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from redpop_assets.arrays import np
from redpop_assets.errors import NotTrainable
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import EARLY, Dataset

FILE = "numbers.json"
_LEAST_SCORES = 20


class _OfScore(Predictor):
    """Looks at the score so far and the age of its reading."""

    requires = frozenset({EARLY})
    uses = frozenset({EARLY})

    numbers: dict[str, float]

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        score = _column(train, "log_score")
        known = ~np.isnan(score)
        if known.sum() < _LEAST_SCORES:
            raise NotTrainable(f"the score is shown by that age under {int(known.sum())} of {len(train)} posts")
        labels = train.labels.astype(np.float64)
        found = self._learnt(np.column_stack([score, np.log(_age(train))])[known], labels[known])
        self.numbers = {**found, "hidden": float(np.median(labels))}
        return Training(self._predict(validation))

    @abstractmethod
    def _learnt(self, looks: Doubles, labels: Doubles) -> dict[str, float]:
        """The numbers that predict a post whose score is shown, from such posts: (n, 2) log scores and log ages."""

    def _save_files(self, folder: Path) -> list[str]:
        (folder / FILE).write_text(json.dumps(self.numbers, indent=1) + "\n", encoding="utf-8")
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        self.numbers = json.loads((folder / FILE).read_text(encoding="utf-8"))


class EarlyGrowth(_OfScore):
    """The score so far times the median growth from that age."""

    name = "early_growth"
    title = "Score so far times the community's growth from that age"
    code_version = "1"

    def _learnt(self, looks: Doubles, labels: Doubles) -> dict[str, float]:
        return {"growth": float(np.median(labels - looks[:, 0]))}

    def _predict(self, data: Dataset) -> Doubles:
        score = _column(data, "log_score")
        return np.where(np.isnan(score), self.numbers["hidden"], score + self.numbers["growth"])


class EarlyLogLinear(_OfScore):
    """Least squares of the log score at the label age on the log score so far and the log age of the reading."""

    name = "early_loglinear"
    title = "Log-linear regression on the score so far (Szabo and Huberman 2010)"
    code_version = "1"

    def _learnt(self, looks: Doubles, labels: Doubles) -> dict[str, float]:
        found, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(looks)), looks]), labels, rcond=None)
        return dict(zip(("intercept", "score", "age"), found.tolist(), strict=True))

    @classmethod
    def described(cls, line: Mapping[str, Any], seed: int) -> Self:
        """One that was fitted: its `numbers` and its `columns`."""
        made = cls(seed)
        made.numbers = line["numbers"]
        made.columns = {name: tuple(columns) for name, columns in line["columns"].items()}
        made._fitted = True
        return made

    def _predict(self, data: Dataset) -> Doubles:
        score, numbers = _column(data, "log_score"), self.numbers
        expected = numbers["intercept"] + numbers["score"] * score + numbers["age"] * np.log(_age(data))
        return np.where(np.isnan(score), numbers["hidden"], expected)


def _column(data: Dataset, name: str) -> Doubles:
    """A column of the early block, (n,); NaN throughout where it told nothing in training."""
    block = data.blocks[EARLY]
    if name not in block.columns:
        return np.full(len(data), np.nan)
    return block.values[:, block.columns.index(name)].astype(np.float64)


def _age(data: Dataset) -> Doubles:
    """(n,) hours of age at the reading; 1 where it never differed in training."""
    return np.maximum(np.nan_to_num(_column(data, "reading_age_hours"), nan=1.0), 1 / 60)

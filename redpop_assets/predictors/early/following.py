"""`early_boosting` and `early_network`: the readings beside everything that was known when the post was made.

Two systems that are good at posting, given one more block: what the readings told by an age, and how far each of it is
from what is usual at that age and hour (`usual`). Everything else is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.errors import NotTrainable
from redpop_assets.predictors.base import Doubles, FitReport, Predictor, regression_metrics
from redpop_assets.predictors.dataset import EARLY, Dataset
from redpop_assets.predictors.early.baselines import EarlyLogLinear
from redpop_assets.predictors.early.usual import Usual
from redpop_assets.predictors.systems.metadata_boosting import MetadataBoosting
from redpop_assets.predictors.systems.multimodal_mlp import MultimodalMLP

USUAL, SCORE = "usual.json", "score.json"


class _Following(Predictor):
    """A predictor whose early block has columns of what is unusual beside it.

    What it learns is what `early_loglinear` leaves over, where scores are shown: trees and networks would have to build
    that line out of steps.
    """

    usual: Usual
    line: EarlyLogLinear | None

    def _fitted_report(self, train: Dataset, validation: Dataset, others: Sequence[Dataset]) -> FitReport:
        """As of every predictor; what is usual is learnt from the train part, as is the line."""
        self.usual = Usual.fit(train.blocks[EARLY], train.created_at)
        self.line = EarlyLogLinear(self.seed)
        try:
            self.line.fit(_early_alone(train), _early_alone(validation))
        except NotTrainable:
            self.line = None  # too few scores are shown, or posts are too few, which is said below
        report = super()._fitted_report(self._left_over(train), self._left_over(validation), others)
        expected = report.validation_prediction + self._on_line(validation)
        metrics = regression_metrics(validation.labels.astype(np.float64), expected)
        return replace(report, validation_prediction=expected, validation=metrics)

    def predict(self, data: Dataset) -> Doubles:
        """As of every predictor."""
        return super().predict(self._beside(data)) + self._on_line(data)

    def _left_over(self, data: Dataset) -> Dataset:
        if data.log_score is None:
            return self._beside(data)
        return replace(self._beside(data), log_score=(data.log_score - self._on_line(data)).astype(np.float32))

    def _on_line(self, data: Dataset) -> Doubles:
        """(n,) log scores of the line; 0 without one."""
        return np.zeros(len(data)) if self.line is None else self.line.predict(data)

    def _beside(self, data: Dataset) -> Dataset:
        early = self.usual.beside(data.blocks[EARLY], data.created_at)
        return replace(data, blocks={**data.blocks, EARLY: early})

    def _save_files(self, folder: Path) -> list[str]:
        (folder / USUAL).write_text(json.dumps(self.usual.described(), indent=1) + "\n", encoding="utf-8")
        line = None if self.line is None else {"numbers": self.line.numbers, "columns": self.line.columns}
        (folder / SCORE).write_text(json.dumps(line, indent=1) + "\n", encoding="utf-8")
        return [*super()._save_files(folder), USUAL, SCORE]  # type: ignore[safe-super]  # that of the system beside it

    def _load_files(self, folder: Path) -> None:
        self.usual = Usual.of(json.loads((folder / USUAL).read_text(encoding="utf-8")))
        line = json.loads((folder / SCORE).read_text(encoding="utf-8"))
        self.line = None if line is None else EarlyLogLinear.described(line, self.seed)
        super()._load_files(folder)  # type: ignore[safe-super]  # likewise


class EarlyBoosting(_Following, MetadataBoosting):
    """`metadata_boosting` with the readings, and with what numbers say of the picture and of its neighbours."""

    name = "early_boosting"
    title = "Gradient boosting on the readings so far, with time, author, community, title and numbers of the picture"
    requires = frozenset({EARLY})
    uses = MetadataBoosting.uses | {"visual", "pixels", "agreement", "seen", "neighbours", EARLY}
    code_version = f"1.{MetadataBoosting.code_version}"


class EarlyNetwork(_Following, MultimodalMLP):
    """`multimodal_mlp` with a branch for the readings, and without the blocks of which few posts teach little."""

    name = "early_network"
    title = "Gated network over the readings so far, picture, title, time, author and community"
    requires = frozenset({EARLY})
    uses = frozenset({"image", "caption", "text", "time", "author", "community", EARLY})
    apart = (EARLY,)
    code_version = f"1.{MultimodalMLP.code_version}"


def _early_alone(data: Dataset) -> Dataset:
    return replace(data, blocks={EARLY: data.blocks[EARLY]})

"""`early_boosting` and `early_network`: the readings beside everything that was known when the post was made.

Two systems that are good at posting, given one more block: what the readings told by an age, and how far each of it is
from what is usual at that age and hour (`usual`). Everything else is theirs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from redpop_assets.predictors.base import Doubles, FitReport, Predictor
from redpop_assets.predictors.dataset import EARLY, Dataset
from redpop_assets.predictors.early.usual import Usual
from redpop_assets.predictors.systems.fusion import FusionLightGBM
from redpop_assets.predictors.systems.multimodal_mlp import MultimodalMLP

USUAL = "usual.json"


class _Following(Predictor):
    """A predictor whose early block has columns of what is unusual beside it."""

    usual: Usual

    def fit(self, train: Dataset, validation: Dataset) -> FitReport:
        """As of every predictor; what is usual is learnt from the train part."""
        self.usual = Usual.fit(train.blocks[EARLY], train.created_at)
        return super().fit(self._beside(train), self._beside(validation))

    def predict(self, data: Dataset) -> Doubles:
        """As of every predictor."""
        return super().predict(self._beside(data))

    def _beside(self, data: Dataset) -> Dataset:
        early = self.usual.beside(data.blocks[EARLY], data.created_at)
        return replace(data, blocks={**data.blocks, EARLY: early})

    def _save_files(self, folder: Path) -> list[str]:
        (folder / USUAL).write_text(json.dumps(self.usual.described(), indent=1) + "\n", encoding="utf-8")
        return [*super()._save_files(folder), USUAL]

    def _load_files(self, folder: Path) -> None:
        self.usual = Usual.of(json.loads((folder / USUAL).read_text(encoding="utf-8")))
        super()._load_files(folder)


class EarlyBoosting(_Following, FusionLightGBM):
    """`fusion_lightgbm` with the readings: a kernel over them, and trees over the columns."""

    name = "early_boosting"
    title = "Kernels and LightGBM over the readings so far and the content"
    requires = frozenset({EARLY})
    uses = FusionLightGBM.uses | {EARLY}
    code_version = f"1.{FusionLightGBM.code_version}"


class EarlyNetwork(_Following, MultimodalMLP):
    """`multimodal_mlp` with the readings among its numbers."""

    name = "early_network"
    title = "Gated network over the readings so far and the content"
    requires = frozenset({EARLY})
    uses = MultimodalMLP.uses | {EARLY}
    code_version = f"1.{MultimodalMLP.code_version}"

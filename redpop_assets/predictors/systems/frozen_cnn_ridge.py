"""`frozen_cnn_ridge`: ridge regression on the vector that a frozen network gives for the picture.

Origin: the baseline that a fine-tuned network has to beat; Hessel, Lee & Mimno 2017 rank Reddit posts by a linear model
on ResNet-50 vectors. Standardising, penalty and memory are those of `BlockRidge`.
"""

from __future__ import annotations

from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.parts.block_ridge import MOST_ROWS, BlockRidge

FILE = "ridge.safetensors"


class FrozenCnnRidge(Predictor):
    """Linear in the picture's vector; a post without a picture gets what the mean picture gets."""

    name = "frozen_cnn_ridge"
    title = "Ridge regression on the image network's vector (baseline)"
    requires = frozenset({"image"})
    uses = frozenset({"image"})
    code_version = "1"

    ridge: BlockRidge

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.newest(MOST_ROWS)
        labels, held_out = train.labels.astype(np.float64), validation.labels.astype(np.float64)
        self.ridge = BlockRidge.fit(train.blocks["image"], labels, validation.blocks["image"], held_out)
        self._say(f"{self.name}: penalty {self.ridge.penalty:g}")
        return Training(self._predict(validation))

    def _predict(self, data: Dataset) -> Doubles:
        return self.ridge.predict(data.blocks["image"])

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file(self.ridge.tensors(), folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.ridge = BlockRidge.from_tensors(load_file(folder / FILE))

"""`late_fusion`: image, caption and metadata predict apart, and the mean of the three is brought to scale.

Origin: the Late baseline of Zhang et al. ("dual attention": the mean of the scores of a visual and a textual model),
with metadata as a third member. Members: `BlockRidge` on the image vector, `BlockRidge` on the caption vector, and the
trees of `metadata_boosting` (time, author, flags, caption statistics).

Choices: each member's penalty, or number of trees, already shrinks a useless one to the train mean, so the mean has no
weights; a member without data is left out. A mean of members that each explain another part of the score is too timid,
so a line (slope above 0), fitted to the validation part, brings it to scale; the reported validation metrics are those
of lines fitted to the other validation posts. A post without a picture gets the image member's value for the mean
picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from redpop_assets.arrays import np, npt
from redpop_assets.errors import NotTrainable
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import EMBEDDINGS, Dataset
from redpop_assets.predictors.parts.block_ridge import MOST_ROWS, BlockRidge
from redpop_assets.predictors.parts.calibration import LinearMap, mapped_out_of_fold
from redpop_assets.predictors.systems.metadata_boosting import MetadataBoosting

RIDGES, LINE = "ridges.safetensors", "line.json"


class LateFusion(Predictor):
    """Mean of an image, a caption and a metadata model, each fitted by itself."""

    name = "late_fusion"
    title = "Late fusion: mean of separate image, caption and metadata models (baseline)"
    requires = frozenset()
    uses = MetadataBoosting.uses | set(EMBEDDINGS)
    code_version = f"1.{MetadataBoosting.code_version}"
    library = "lightgbm"

    ridges: dict[str, BlockRidge]
    metadata: MetadataBoosting | None
    line: LinearMap

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train, validation = train.newest(MOST_ROWS), validation.newest(len(validation))
        labels, held_out = train.labels.astype(np.float64), validation.labels.astype(np.float64)
        self.ridges = {
            name: BlockRidge.fit(train.blocks[name], labels, validation.blocks[name], held_out)
            for name in EMBEDDINGS
            if name in self.columns
        }
        self.metadata, rounds = None, 0
        if "time" in self.columns:
            self.metadata = MetadataBoosting(seed=self.seed)
            rounds = self.metadata.fit(train, validation).rounds
        members = self._members(validation)
        if not members:
            raise NotTrainable("needs images, captions or times: no training row has one")
        mean = np.mean(list(members.values()), axis=0)
        self.line = LinearMap.fit(mean, held_out)
        spread = ", ".join(f"{name} {values.std():.2f}" for name, values in members.items())
        note = f"members by spread: {spread}; slope of their mean {self.line.slope:.2f}"
        self._say(f"{self.name}: {note}")
        return Training(mapped_out_of_fold(mean, held_out), rounds, "trees" if rounds else "", (note,))

    def _members(self, data: Dataset) -> dict[str, Doubles]:
        """Member -> (n,) expected log scores."""
        members = {name: ridge.predict(data.blocks[name]) for name, ridge in self.ridges.items()}
        if self.metadata is not None:
            members["metadata"] = self.metadata.predict(data)
        return members

    def _predict(self, data: Dataset) -> Doubles:
        return self.line.apply(np.mean(list(self._members(data).values()), axis=0))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        tensors: dict[str, npt.NDArray[Any]] = {}
        for name, ridge in self.ridges.items():
            tensors |= ridge.tensors(f"{name}.")
        save_file(tensors, folder / RIDGES)
        content = {
            "slope": self.line.slope,
            "intercept": self.line.intercept,
            "ridges": list(self.ridges),
            "metadata": None if self.metadata is None else self.metadata.columns,
        }
        (folder / LINE).write_text(json.dumps(content) + "\n", encoding="utf-8")
        return [RIDGES, LINE, *([] if self.metadata is None else self.metadata._save_files(folder))]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        tensors = load_file(folder / RIDGES)
        content = json.loads((folder / LINE).read_text(encoding="utf-8"))
        self.line = LinearMap(content["slope"], content["intercept"])
        self.ridges = {name: BlockRidge.from_tensors(tensors, f"{name}.") for name in content["ridges"]}
        self.metadata = None
        if content["metadata"] is not None:
            self.metadata = MetadataBoosting(seed=self.seed)
            self.metadata.columns = {name: tuple(columns) for name, columns in content["metadata"].items()}
            self.metadata._load_files(folder)
            self.metadata._fitted = True

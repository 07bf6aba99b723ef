"""`redpop_thesis`: the multimodal network of the RedPop thesis.

Origin: the thesis feeds convolutional image features and caption emotions, with timestamps and metadata, to fully
connected layers joined in one network. Its text at hand ends before layers, sizes, loss and training; those are
choices here:

- each block is standardised with the train part's mean and deviation, an unknown value or an absent block becomes the
  train mean (0 after standardising);
- three branches: image embedding -> 256, text (caption statistics, sentiment, emotions) -> 64, tabular (time, author,
  flags) -> 64, joined -> 128 -> 1, with ReLU and dropout. The caption's sentence embedding is not an input: the thesis
  reads emotions from the caption, not its topic;
- trained as `networks` says: mean squared error on the standardised log score, Adam with a little weight decay, early
  stopping on the validation part.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats
from redpop_assets.predictors.parts.networks import Inputs, NetworkRegressor, Recipe, below
from redpop_assets.predictors.parts.reduction import side_by_side

if TYPE_CHECKING:
    import torch

BRANCHES = {"image": (("image",), 256), "text": (("text",), 64), "tabular": (("time", "author", "flags"), 64)}
"""Branch -> (its blocks, its width)."""
JOINT_WIDTH = 128
DROPOUT = 0.3
RECIPE = Recipe(learning_rate=3e-4, weight_decay=1e-3, batch=64, most_epochs=200, patience=20)
FILE = "network.safetensors"


class RedPopThesis(Predictor):
    """Image, text and tabular branches in one fully connected network; a post without an image gets the mean image."""

    name = "redpop_thesis"
    title = "RedPop thesis: a network over image features, caption emotions, time and metadata"
    requires = frozenset({"image"})
    uses = frozenset({"image", "text", "time", "author", "flags"})
    code_version = "2"
    library = "pytorch"

    scales: dict[str, Floats]
    """Per branch "mean.<branch>" and "deviation.<branch>" (d,)."""
    regressor: NetworkRegressor

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.scales = {}
        for branch in self._branches():
            self.scales[f"mean.{branch}"], self.scales[f"deviation.{branch}"] = self._joined(train, branch).moments()
        self.regressor = NetworkRegressor(build_network, RECIPE)
        inputs, held_out = self._inputs(train), self._inputs(validation)
        epochs = self.regressor.fit(inputs, train.labels, held_out, validation.labels, self.seed, self._say)
        return Training(self._predict(validation), rounds=epochs, rounds_of="epochs")

    def _predict(self, data: Dataset) -> Doubles:
        return self.regressor.predict(self._inputs(data))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        scales = {f"scale.{key}": value for key, value in self.scales.items()}
        save_file(scales | self.regressor.arrays(), folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / FILE)
        self.scales = below(arrays, "scale.")
        self.regressor = NetworkRegressor(build_network, RECIPE)
        self.regressor.load_arrays(arrays)

    def _branches(self) -> list[str]:
        return [branch for branch, (blocks, _) in BRANCHES.items() if any(block in self.columns for block in blocks)]

    def _joined(self, data: Dataset, branch: str) -> Block:
        """The blocks of a branch side by side, as one block that every post has."""
        return side_by_side(data, {name: self.columns[name] for name in BRANCHES[branch][0] if name in self.columns})

    def _inputs(self, data: Dataset) -> Inputs:
        return {
            branch: self._joined(data, branch).standardised(
                self.scales[f"mean.{branch}"], self.scales[f"deviation.{branch}"]
            )
            for branch in self._branches()
        }


def build_network(widths: Mapping[str, int]) -> "torch.nn.Module":
    """The untrained network.

    Args:
        widths: number of inputs of each branch; its forward takes {branch: (n, width) float32} and returns (n,).
    """
    import torch

    class Multimodal(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branches = torch.nn.ModuleDict(
                {
                    branch: torch.nn.Sequential(
                        torch.nn.Linear(width, BRANCHES[branch][1]), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT)
                    )
                    for branch, width in widths.items()
                }
            )
            self.head = torch.nn.Sequential(
                torch.nn.Linear(sum(BRANCHES[branch][1] for branch in widths), JOINT_WIDTH),
                torch.nn.ReLU(),
                torch.nn.Dropout(DROPOUT),
                torch.nn.Linear(JOINT_WIDTH, 1),
            )

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            joined = torch.cat([self.branches[branch](inputs[branch]) for branch in self.branches], dim=1)
            output: torch.Tensor = self.head(joined)
            return output.squeeze(1)

    return Multimodal()

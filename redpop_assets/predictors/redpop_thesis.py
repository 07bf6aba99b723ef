"""`redpop_thesis`: the multimodal network of the RedPop thesis.

Origin: the thesis feeds convolutional image features and caption emotions, with timestamps and metadata, to fully
connected layers joined in one network. Its text at hand ends before layers, sizes, loss and training; those are
choices here:

- each block is standardised with the train part's mean and deviation, an unknown value or an absent block becomes the
  train mean (0 after standardising);
- three branches: image embedding -> 256, text (caption statistics, sentiment, emotions) -> 64, tabular (time, author,
  flags) -> 64, joined -> 128 -> 1, with ReLU and dropout. The caption's sentence embedding is not an input: the thesis
  reads emotions from the caption, not its topic;
- mean squared error on the standardised log score, Adam with a little weight decay, mini-batches, early stopping on the
  validation part, best epoch kept, no refit;
- trained on the GPU if there is one, else on one thread, which is quicker than more for batches this small and
  repeatable whatever the number of cores; predicting on the CPU.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats

if TYPE_CHECKING:
    import torch

BRANCHES = {"image": (("image",), 256), "text": (("text",), 64), "tabular": (("time", "author", "flags"), 64)}
"""Branch -> (its blocks, its width)."""
JOINT_WIDTH = 128
DROPOUT = 0.3
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 1e-3
BATCH = 64
MOST_EPOCHS = 200
PATIENCE = 20
FILE = "network.safetensors"


class RedPopThesis(Predictor):
    """Image, text and tabular branches in one fully connected network; a post without an image gets the mean image."""

    name = "redpop_thesis"
    title = "RedPop thesis: a network over image features, caption emotions, time and metadata"
    requires = frozenset({"image"})
    uses = frozenset({"image", "text", "time", "author", "flags"})
    code_version = "1"

    scales: dict[str, Floats]
    """Per branch "mean:<branch>" and "deviation:<branch>" (d,); "label" holds the labels' mean and deviation (2,)."""
    network: "torch.nn.Module"

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        import torch

        self.scales = {"label": np.array([train.labels.mean(), max(train.labels.std(), 1e-6)], dtype=np.float32)}
        for branch in self._branches():
            self.scales[f"mean:{branch}"], self.scales[f"deviation:{branch}"] = self._joined(train, branch).moments()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        inputs = {branch: tensor.to(device) for branch, tensor in self._inputs(train).items()}
        held_out = {branch: tensor.to(device) for branch, tensor in self._inputs(validation).items()}
        mean, deviation = self.scales["label"]
        target = torch.from_numpy((train.labels - mean) / deviation).to(device)
        held_out_target = torch.from_numpy((validation.labels - mean) / deviation).to(device)

        threads = torch.get_num_threads()
        with torch.random.fork_rng(), ExitStack() as restoring:
            torch.set_num_threads(1)
            restoring.callback(torch.set_num_threads, threads)
            torch.manual_seed(self.seed)
            network = build_network({branch: tensor.shape[1] for branch, tensor in inputs.items()}).to(device)
            optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
            best_loss, best_epoch, best_state = np.inf, 0, network.state_dict()
            for epoch in range(1, MOST_EPOCHS + 1):
                network.train()
                order = torch.randperm(len(train)).to(device)
                for first in range(0, len(train), BATCH):
                    rows = order[first : first + BATCH]
                    optimizer.zero_grad()
                    predicted = network({branch: tensor[rows] for branch, tensor in inputs.items()})
                    torch.autograd.backward(torch.nn.functional.mse_loss(predicted, target[rows]))
                    optimizer.step()
                network.eval()
                with torch.no_grad():
                    loss = torch.nn.functional.mse_loss(network(held_out), held_out_target).item()
                if loss < best_loss:
                    best_loss, best_epoch = loss, epoch
                    best_state = {key: tensor.detach().cpu().clone() for key, tensor in network.state_dict().items()}
                if epoch % 10 == 0:
                    self._say(f"{self.name}: epoch {epoch}, validation loss {loss:.4f}, best {best_loss:.4f}")
                if epoch - best_epoch >= PATIENCE:
                    break
        self.network = network.cpu()
        self.network.load_state_dict(best_state)
        return Training(self._predict(validation), rounds=best_epoch, rounds_of="epochs")

    def _predict(self, data: Dataset) -> Doubles:
        import torch

        self.network.eval()
        with torch.no_grad():
            predicted = self.network(self._inputs(data)).numpy().astype(np.float64)
        mean, deviation = self.scales["label"].astype(np.float64)
        return np.asarray(predicted * deviation + mean)

    def _save_files(self, folder: Path) -> list[str]:
        import torch
        from safetensors.torch import save_file

        weights = {f"network.{key}": tensor.contiguous() for key, tensor in self.network.state_dict().items()}
        scales = {f"scale.{key}": torch.from_numpy(value) for key, value in self.scales.items()}
        save_file(weights | scales, folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.torch import load_file

        stored = load_file(folder / FILE)
        self.scales = {k.removeprefix("scale."): v.numpy() for k, v in stored.items() if k.startswith("scale.")}
        self.network = build_network({branch: len(self.scales[f"mean:{branch}"]) for branch in self._branches()})
        self.network.load_state_dict(
            {k.removeprefix("network."): v for k, v in stored.items() if k.startswith("network.")}
        )

    def _branches(self) -> list[str]:
        return [branch for branch, (blocks, _) in BRANCHES.items() if any(block in self.columns for block in blocks)]

    def _joined(self, data: Dataset, branch: str) -> Block:
        """The blocks of a branch side by side, as one block that every post has."""
        names = [block for block in BRANCHES[branch][0] if block in self.columns]
        return Block(
            np.hstack([data.blocks[name].values for name in names]),
            tuple(f"{name}.{column}" for name in names for column in self.columns[name]),
            np.ones(len(data), dtype=np.bool_),
        )

    def _inputs(self, data: Dataset) -> "dict[str, torch.Tensor]":
        import torch

        return {
            branch: torch.from_numpy(
                self._joined(data, branch).standardised(
                    self.scales[f"mean:{branch}"], self.scales[f"deviation:{branch}"]
                )
            )
            for branch in self._branches()
        }


def build_network(widths: dict[str, int]) -> "torch.nn.Module":
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

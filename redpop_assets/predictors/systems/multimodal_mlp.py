"""`multimodal_mlp`: picture, caption and all numbers in one gated network, a few of which are averaged.

Origin: gated multimodal units (Arevalo et al. 2017: each modality's hidden layer is weighted by a gate that sees all
modalities) on frozen vectors of networks, CLIP's where the settings name CLIP, as recent SMP Challenge entries use
them; a linear path beside the deep one (wide and deep, Cheng et al. 2016). Choices:

- image, caption and the wide concept blocks come as at most 64 principal components, fitted on the train part: with
  hundreds of posts a layer over 1,280 columns learns the posts by heart; all other blocks are standardised numbers;
- each branch -> 64 -> ReLU, times its gate; the product of the image's and the caption's hidden layer joins as a cross
  term (what agrees or clashes between the two); all together -> 64 -> 1, plus a linear function of all inputs;
- dropout on inputs and hidden layers, and now and then a whole branch is dropped in training, so that the network
  copes with a post that lacks it;
- mean squared error on the standardised log score, early stopping on the validation part, no refit; the mean of
  `MEMBERS` networks of different seeds.

An unknown value, an absent block (a missing image) is the train mean, which is what a dropped branch looks like.
Memory: n x some hundred numbers; the decompositions see at most the newest 4,000 posts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import BLOCK_NAMES, WIDE_BLOCKS, Block, Dataset, Floats
from redpop_assets.predictors.parts.additive_kernel import Projection, projection_arrays, projections_from
from redpop_assets.predictors.parts.networks import NetworkRegressor, Recipe

if TYPE_CHECKING:
    import torch

TABULAR = "tabular"
"""The branch that all blocks share which have none of their own."""
WIDTH = 64
INPUT_DROPOUT, DROPOUT, BRANCH_DROPOUT = 0.2, 0.3, 0.1
MEMBERS = 3
RECIPE = Recipe(learning_rate=2e-3, weight_decay=1e-3, batch=128, most_epochs=60, patience=8)
FILE = "networks.safetensors"


class MultimodalMLP(Predictor):
    """An ensemble of gated networks; a post without an image is predicted from the rest."""

    name = "multimodal_mlp"
    title = "Gated network over image, caption and all numbers, with cross terms"
    requires = frozenset({"caption"})
    uses = frozenset(BLOCK_NAMES) - {"environment", "retrieved"}
    code_version = "1"
    library = "pytorch"

    apart: ClassVar[tuple[str, ...]] = ()
    """Blocks of numbers that have a branch of their own."""

    projections: dict[str, Projection]
    moments: dict[str, tuple[Floats, Floats]]
    """Mean and deviation of those."""
    mean: Floats
    deviation: Floats
    members: list[NetworkRegressor]

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        train = train.take(np.argsort(train.created_at, kind="stable"))
        with threadpool_limits(limits=1, user_api="blas"):
            self.projections = {
                name: Projection.fit(train.blocks[name], whiten=False) for name in WIDE_BLOCKS if name in self.columns
            }
        self.mean, self.deviation = self._tabular(train).moments()
        self.moments = {name: train.blocks[name].moments() for name in self.apart if name in self.columns}
        inputs, held_out = self._inputs(train), self._inputs(validation)
        self.members, epochs = [], []
        for member in range(MEMBERS):
            network = NetworkRegressor(build_network, RECIPE)
            epochs.append(
                network.fit(inputs, train.labels, held_out, validation.labels, self.seed * MEMBERS + member, self._say)
            )
            self.members.append(network)
        self._say(f"{self.name}: best epochs {', '.join(map(str, epochs))}")
        return Training(self._predict(validation), rounds=max(epochs), rounds_of="epochs")

    def _predict(self, data: Dataset) -> Doubles:
        inputs = self._inputs(data)
        return np.asarray(np.mean([member.predict(inputs) for member in self.members], axis=0))

    def _inputs(self, data: Dataset) -> dict[str, Floats]:
        """Branch -> (n, k), of a mean square of about 1; 0 where a post lacks the block."""
        inputs = {}
        for name, projection in self.projections.items():
            scores = projection.scores(data.blocks[name])
            inputs[name] = np.nan_to_num(scores * np.sqrt(scores.shape[1])).astype(np.float32)
        inputs[TABULAR] = self._tabular(data).standardised(self.mean, self.deviation)
        inputs |= {name: data.blocks[name].standardised(*moments) for name, moments in self.moments.items()}
        return {name: values for name, values in inputs.items() if values.shape[1]}

    def _tabular(self, data: Dataset) -> Block:
        names = [name for name in self.columns if name not in (*WIDE_BLOCKS, *self.apart)]
        return Block(
            np.hstack([np.empty((len(data), 0), np.float32), *(data.blocks[name].values for name in names)]),
            tuple(f"{name}.{column}" for name in names for column in self.columns[name]),
            np.ones(len(data), dtype=np.bool_),
        )

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        arrays: dict[str, np.ndarray[Any, Any]] = {"mean": self.mean, "deviation": self.deviation}
        arrays |= projection_arrays(self.projections)
        for name, (mean, deviation) in self.moments.items():
            arrays |= {f"apart.{name}.mean": mean, f"apart.{name}.deviation": deviation}
        for number, member in enumerate(self.members):
            arrays |= member.arrays(f"member{number}")
        save_file(arrays, folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / FILE)
        self.mean, self.deviation = arrays["mean"], arrays["deviation"]
        self.moments = {
            name: (arrays[f"apart.{name}.mean"], arrays[f"apart.{name}.deviation"])
            for name in self.apart
            if name in self.columns
        }
        self.projections = projections_from(arrays, [name for name in WIDE_BLOCKS if name in self.columns])
        self.members = [NetworkRegressor(build_network, RECIPE) for _ in range(MEMBERS)]
        for number, member in enumerate(self.members):
            member.load_arrays(arrays, f"member{number}")


def build_network(widths: Mapping[str, int]) -> torch.nn.Module:
    """The untrained network.

    Args:
        widths: branch -> number of inputs; its forward takes {branch: (n, width) float32} and returns (n,).
    """
    import torch

    names = list(widths)
    crossed = [name for name in ("image", "caption") if name in widths]

    class Gated(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branches = torch.nn.ModuleDict(
                {
                    name: torch.nn.Sequential(
                        torch.nn.Dropout(INPUT_DROPOUT), torch.nn.Linear(width, WIDTH), torch.nn.ReLU()
                    )
                    for name, width in widths.items()
                }
            )
            self.gates = torch.nn.Linear(len(names) * WIDTH, len(names) * WIDTH)
            joined = len(names) * WIDTH + (WIDTH if len(crossed) == 2 else 0)
            self.head = torch.nn.Sequential(
                torch.nn.Dropout(DROPOUT),
                torch.nn.Linear(joined, WIDTH),
                torch.nn.ReLU(),
                torch.nn.Dropout(DROPOUT),
                torch.nn.Linear(WIDTH, 1),
            )
            self.linear = torch.nn.Linear(sum(widths.values()), 1)

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            inputs = {name: self.kept(inputs[name]) for name in names}
            hidden = {name: self.branches[name](inputs[name]) for name in names}
            side_by_side = torch.cat(list(hidden.values()), dim=1)
            parts = [torch.sigmoid(self.gates(side_by_side)) * side_by_side]
            if len(crossed) == 2:
                parts.append(hidden["image"] * hidden["caption"])
            output: torch.Tensor = self.head(torch.cat(parts, dim=1)) + self.linear(torch.cat(list(inputs.values()), 1))
            return output.squeeze(1)

        def kept(self, values: torch.Tensor) -> torch.Tensor:
            """In training, a post now and then goes without a branch."""
            if not self.training:
                return values
            return values * (torch.rand(len(values), 1, device=values.device) >= BRANCH_DROPOUT)

    return Gated()

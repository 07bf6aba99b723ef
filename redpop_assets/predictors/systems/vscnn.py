"""`vscnn`: the visual-social convolutional neural network (Abousaleh et al. 2020).

Origin: hand-made visual features and deep features of VGG19 (4,710 numbers) are reduced to 20 principal components,
user, post and time to 14; two independent networks of three Conv1D + ReLU each read the two vectors; their outputs are
concatenated and go through two fully connected layers into one node; mean squared error through everything.

Choices, where filters and kernels are only in a figure that is not at hand, and where Reddit is not Flickr:

- visual: the blocks `visual` (colour, texture, hues, composition, GIST) and `pixels` with the vector of whichever
  image network is set, in place of VGG19's fc7. Social: `author` (past posts and matured scores only, in place of user
  totals that know the target), `time`, `flags`, `community`, and of `text` how a caption is written, as counts;
- both are standardised, reduced and normalised on the train part only;
- Conv1D with 32, 64 and 64 filters, kernel 3, same padding; head 64 -> 32 -> 1. Order and sign of components are
  arbitrary, so what lies beside what in a convolution is too: filters mean nothing by themselves;
- a post without a picture has the mean picture.

Memory: one standardised copy of the visual columns, and matrices of 2,000 x 2,000 at most for the components.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.parts.networks import Inputs, NetworkRegressor, Recipe, below
from redpop_assets.predictors.parts.reduction import PrincipalComponents, side_by_side

if TYPE_CHECKING:
    import torch

BRANCHES: Mapping[str, tuple[tuple[str, ...], int]] = {
    "visual": (("visual", "pixels", "image"), 20),
    "social": (("author", "time", "flags", "community", "text"), 14),
}
"""Branch -> (its blocks, its number of principal components)."""
TEXT_COUNTS = frozenset(
    {
        *("characters", "words", "mean_word_length", "upper_case_share", "digits", "punctuation", "question_marks"),
        *("exclamation_marks", "emoji", "bracket_tags", "has_oc_tag", "has_resolution_tag", "sentences"),
        *("title_case_share", "ellipses", "quotations", "round_brackets", "user_mentions", "subreddit_mentions"),
        *("numbers", "has_year", "has_age"),
    }
)
FILTERS = (32, 64, 64)
KERNEL = 3
HEAD = (64, 32)
RECIPE = Recipe(learning_rate=1e-3, weight_decay=1e-3, batch=128, most_epochs=60, patience=5)
FILE = "vscnn.safetensors"


class VSCNN(Predictor):
    """Two towers of convolutions over visual and social components, fused; a missing picture is the mean picture."""

    name = "vscnn"
    title = "VSCNN: convolutions over principal components of visual and of social features (Abousaleh et al. 2020)"
    requires = frozenset({"image"})
    uses = frozenset(block for blocks, _ in BRANCHES.values() for block in blocks)
    code_version = "1"
    library = "pytorch"

    components: dict[str, PrincipalComponents]
    regressor: NetworkRegressor

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.components = {}
        for branch, (_, most) in BRANCHES.items():
            block = self._block(train, branch)
            if block.columns:
                self.components[branch] = PrincipalComponents.fit(block, most)
        notes = tuple(
            f"{len(found.explained)} {branch} components hold {found.explained.sum():.0%} of the variance"
            for branch, found in self.components.items()
        )
        for note in notes:
            self._say(f"{self.name}: {note}")
        self.regressor = NetworkRegressor(build_network, RECIPE)
        epochs = self.regressor.fit(
            self._inputs(train), train.labels, self._inputs(validation), validation.labels, self.seed, self._say
        )
        return Training(self._predict(validation), rounds=epochs, rounds_of="epochs", notes=notes)

    def _predict(self, data: Dataset) -> Doubles:
        return self.regressor.predict(self._inputs(data))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        arrays = self.regressor.arrays()
        for branch, found in self.components.items():
            arrays |= {f"{branch}.{key}": value for key, value in found.arrays().items()}
        save_file(arrays, folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / FILE)
        self.components = {
            branch: PrincipalComponents(**fields) for branch in BRANCHES if (fields := below(arrays, f"{branch}."))
        }
        self.regressor = NetworkRegressor(build_network, RECIPE)
        self.regressor.load_arrays(arrays)

    def _block(self, data: Dataset, branch: str) -> Block:
        """The columns of a branch side by side."""
        return side_by_side(
            data,
            {
                block: [column for column in self.columns[block] if block != "text" or column in TEXT_COUNTS]
                for block in BRANCHES[branch][0]
                if block in self.columns
            },
        )

    def _inputs(self, data: Dataset) -> Inputs:
        return {branch: found.scores(self._block(data, branch)) for branch, found in self.components.items()}


def build_network(widths: Mapping[str, int]) -> "torch.nn.Module":
    """The untrained network for so many components per branch."""
    import torch
    from torch.nn import Conv1d, Flatten, Linear, ReLU, Sequential

    def tower() -> Sequential:
        layers: list[torch.nn.Module] = []
        for before, after in zip((1, *FILTERS), FILTERS, strict=False):
            layers += [Conv1d(before, after, KERNEL, padding="same"), ReLU()]
        return Sequential(*layers, Flatten())

    class VisualSocial(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.towers = torch.nn.ModuleDict({branch: tower() for branch in widths})
            self.head = Sequential(
                Linear(FILTERS[-1] * sum(widths.values()), HEAD[0]), ReLU(), Linear(*HEAD), ReLU(), Linear(HEAD[-1], 1)
            )

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            merged = torch.cat([self.towers[branch](inputs[branch].unsqueeze(1)) for branch in self.towers], dim=1)
            popularity: torch.Tensor = self.head(merged)
            return popularity.squeeze(1)

    return VisualSocial()

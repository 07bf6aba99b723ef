"""`feature_fusion`: deep features of image and text and a few numbers in one network of dense layers.

Origin: Ding, Wang and Wang 2019, "Social Media Popularity Prediction: A Multiple Feature Fusion Approach with Deep
Neural Networks" (SMPD): ResNet-101, BERT and ten z-scored numbers of user, time, place, text and image (section 4.1)
into four dense layers, each with batch normalisation and ReLU (section 4.2), trained for the mean squared error with an
L2 term by Adam (section 5.1).

Choices, where the paper is silent or does not fit Reddit:

- widths are only in a figure that is not at hand: image 512, text 256 and numbers 32, then 256, 64 and 1;
- normalisation and ReLU after the last layer would forbid all below the mean: the output is a plain dense layer, its
  target the standardised log score. `feature_fusion_literal` has the literal layer, with the log score as it is;
- followers, followings and posts: the author's mature scores so far and numbers of earlier posts; a first post has the
  community's mean and a flag. "Time since upload" is the age of the label, which is the same for all here: the hour and
  the weekday instead. Latitude and longitude do not exist. Tags are those in brackets, and the flair;
- an unknown number, or a missing picture, is the mean of the train part (0 after z-scoring), not that of all users;
- ten epochs at a rate of 1e-4 that falls by 0.9 after each are 18,000 steps with the paper's 230,000 posts, and 160
  with 2,000, which leave the network as it was: here the rate is `LEARNING_RATE`, an epoch of the schedule has
  `STEPS_AN_EPOCH` batches at least, and the epoch with the least error on the validation part is kept.

Ablation as in section 5.3: features are set to zero after z-scoring. `FeatureFusion(left_out=...)` trains without them;
`fitted.without(...)` only predicts without them (the paper does not say which it did). `FEATURES` names the rows of its
tables 2 and 3.

Memory: the columns and one standardised copy; it learns from the newest `MOST_ROWS` posts.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Doubles, Predictor, Progress, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats
from redpop_assets.predictors.parts.networks import Inputs, NetworkRegressor, Recipe, below

if TYPE_CHECKING:
    import torch

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "text": ("bracket_tags", "characters", "words"),
    "time": ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos"),
    "author": ("past_mean_log_score", "past_mature_posts", "past_posts", "past_posts_anywhere", "is_cold_start"),
    "flags": ("has_flair",),
    "ratings": ("intrinsic_popularity", "rating"),
}
"""Block -> its columns among the numbers."""
LOGARITHMIC = frozenset({"past_mature_posts", "past_posts", "past_posts_anywhere"})
FEATURES: Mapping[str, tuple[str, ...]] = {
    "User information": ("author",),
    "Visual features": ("image", "ratings"),
    "Text features": ("caption", "text", "flags"),
    "Time": ("time",),
    "Deep image feature": ("image",),
    "Deep text feature": ("caption",),
    "Tags count": ("text.bracket_tags", "flags.has_flair"),
    "Title length": ("text.characters", "text.words"),
}
"""Row of the paper's tables 2 and 3 -> blocks and columns (`block.column`) that it means here."""
GROUPS: Mapping[str, int] = {"image": 512, "caption": 256, "numbers": 32}
"""Group of inputs -> width of its own layer."""
JOINT_WIDTHS = (256, 64)
LEARNING_RATE = 1e-3
DECAY = 0.9
STEPS_AN_EPOCH = 8
MOST_STEPS = 640
PATIENCE = 6
BATCH = 128
L2 = 1e-3
MOST_ROWS = 50_000
TENSORS, DETAILS = "network.safetensors", "features.json"


class FeatureFusion(Predictor):
    """Image, text and numbers through four dense layers; a post without an image gets the mean image.

    Args:
        seed, progress: as in `Predictor`.
        left_out: rows of `FEATURES` that are set to zero, in the fit and in predictions.

    Raises:
        ValueError: there is no such feature.
    """

    name = "feature_fusion"
    title = "Feature fusion: image and text vectors and numbers of author, time and text in dense layers (SMPD 2019)"
    requires = frozenset({"image"})
    uses = frozenset({"image", "caption", *NUMBERS})
    code_version = "1"
    library = "pytorch"

    rectified_output: ClassVar[bool] = False
    """The literal last layer of the paper, which can predict no negative log score."""

    scales: dict[str, Floats]
    """"mean.<group>" and "deviation.<group>" (d,) of the train part."""
    regressor: NetworkRegressor

    def __init__(self, seed: int = 0, progress: Progress | None = None, left_out: Iterable[str] = ()) -> None:
        super().__init__(seed, progress)
        self.left_out = _known_features(left_out)

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        kept = {
            name: tuple(column for column in columns if column in NUMBERS.get(name, columns))
            for name, columns in self.columns.items()
        }
        self.columns = {name: columns for name, columns in kept.items() if columns}
        train = train.newest(MOST_ROWS)
        self.scales = {}
        for group in self._groups():
            block = self._joined(train, group)
            self.scales[f"mean.{group}"], self.scales[f"deviation.{group}"] = block.moments()
        batches = -(-len(train) // BATCH)
        passes = max(1, -(-STEPS_AN_EPOCH // batches))
        recipe = Recipe(
            learning_rate=LEARNING_RATE,
            weight_decay=L2,
            batch=BATCH,
            most_epochs=max(-(-MOST_STEPS // batches), 10),
            patience=PATIENCE * passes,
            schedule=lambda epoch: DECAY ** ((epoch - 1) // passes),
        )
        self.regressor = NetworkRegressor(self._network, recipe, standardise=not self.rectified_output)
        best = self.regressor.fit(
            self._inputs(train), train.labels, self._inputs(validation), validation.labels, self.seed, self._say
        )
        self._say(f"{self.name}: best after {best} passes over {len(train)} posts in {batches} batches")
        notes = tuple(f"trained with {feature} set to zero" for feature in self.left_out)
        return Training(self._predict(validation), rounds=best, rounds_of="epochs", notes=notes)

    def _predict(self, data: Dataset) -> Doubles:
        return self.regressor.predict(self._inputs(data))

    def without(self, *features: str) -> Self:
        """The fitted predictor with these rows of `FEATURES` at zero too, not trained again.

        Raises:
            ValueError: there is no such feature.
        """
        reduced = copy.copy(self)
        reduced.left_out = tuple(dict.fromkeys([*self.left_out, *_known_features(features)]))
        return reduced

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file({f"scale.{k}": v for k, v in self.scales.items()} | self.regressor.arrays(), folder / TENSORS)
        details = {"left_out": self.left_out, "rectified_output": self.rectified_output}
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        return [TENSORS, DETAILS]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / TENSORS)
        self.scales = below(arrays, "scale.")
        self.regressor = NetworkRegressor(self._network, Recipe(), standardise=not self.rectified_output)
        self.regressor.load_arrays(arrays)
        self.left_out = tuple(json.loads((folder / DETAILS).read_text(encoding="utf-8"))["left_out"])

    def _groups(self) -> list[str]:
        return [group for group in GROUPS if any(name in self.columns for name in _blocks(group))]

    def _joined(self, data: Dataset, group: str) -> Block:
        """The columns of a group as one block that every post has, counts as logarithms; NaN where unknown."""
        names = [name for name in _blocks(group) if name in self.columns]
        parts = [data.blocks[name].pick(self.columns[name]) for name in names]
        columns = [f"{name}.{column}" for name, part in zip(names, parts, strict=True) for column in part.columns]
        values = np.hstack([part.values for part in parts])
        counts = [place for place, column in enumerate(columns) if column.split(".", 1)[1] in LOGARITHMIC]
        values[:, counts] = np.log1p(values[:, counts])
        return Block(values, tuple(columns), np.ones(len(data), dtype=np.bool_))

    def _inputs(self, data: Dataset) -> Inputs:
        zeros = {part for feature in self.left_out for part in FEATURES[feature]}
        inputs = {}
        for group in self._groups():
            block = self._joined(data, group)
            values = block.standardised(self.scales[f"mean.{group}"], self.scales[f"deviation.{group}"])
            values[:, [not zeros.isdisjoint({name.split(".", 1)[0], name}) for name in block.columns]] = 0
            inputs[group] = values
        return inputs

    def _network(self, widths: Mapping[str, int]) -> torch.nn.Module:
        return build_network(widths, rectified_output=self.rectified_output)


class FeatureFusionLiteral(FeatureFusion):
    """The network as published, with normalisation and ReLU after the last layer."""

    name = "feature_fusion_literal"
    title = "Feature fusion with a rectified last layer, as in the paper"
    rectified_output = True
    literal = "a rectified output, which can predict no negative log score"


def _known_features(names: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(names)
    if unknown := [name for name in kept if name not in FEATURES]:
        raise ValueError(f"no feature {', '.join(unknown)}; there are {', '.join(FEATURES)}")
    return kept


def _blocks(group: str) -> tuple[str, ...]:
    return tuple(NUMBERS) if group == "numbers" else (group,)


def build_network(widths: Mapping[str, int], *, rectified_output: bool = False) -> torch.nn.Module:
    """The untrained network: four dense layers, the first one per group.

    Args:
        widths: group -> number of its inputs; the forward takes {group: (n, width) float32} and returns (n,).
        rectified_output: whether the last layer is normalised and rectified like the others.
    """
    import torch

    def dense(width: int, wider: int) -> list[torch.nn.Module]:
        return [torch.nn.Linear(width, wider), torch.nn.BatchNorm1d(wider), torch.nn.ReLU()]

    class Fusion(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.ModuleDict(
                {group: torch.nn.Sequential(*dense(widths[group], GROUPS[group])) for group in sorted(widths)}
            )
            second, third = JOINT_WIDTHS
            last = dense(third, 1) if rectified_output else [torch.nn.Linear(third, 1)]
            self.joint = torch.nn.Sequential(
                *dense(sum(GROUPS[group] for group in widths), second), *dense(second, third), *last
            )

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            joined = torch.cat([self.first[group](inputs[group]) for group in self.first], dim=1)
            output: torch.Tensor = self.joint(joined)
            return output.squeeze(1)

    return Fusion()

"""`past_neighbours`: a post does as the posts most like it did before.

Origin: retrieval of similar posts whose fate is known (SKAPP, AAAI 2025, and its successors), reduced to what can be
read off: the block `neighbours` has, by image and by caption, the mean score of the ten nearest strictly earlier posts
whose scores were mature, and how similar they are. What is added here:

- a kernel: neighbours count as far as they are near. The distance of the neighbours' mean from the community's level is
  weighted by exp(-(1 - similarity) / h), h being the median of 1 - similarity in the train part (Nadaraya and Watson's
  kernel regression, 1964, taken over the neighbours of both kinds);
- the same picture posted before (block `seen`) is the nearest neighbour of all;
- ten neighbours are few. What all earlier titles with the same words did, and all earlier titles the more they mean the
  same (block `title_past`), is the same idea with everybody as a neighbour;
- a ridge regression learns what these means are worth, together with the other numbers of the blocks; its penalty is
  the one that predicts held-out stretches of time best.

No neighbour yet, or no vector: the block itself then says "the community's mean" with similarity 0, and the kernel
weighs that with almost nothing. A post without the block gets the train mean of each number. Memory: n x 50 numbers.
"""

from __future__ import annotations

from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import BLOCK_NAMES, Block, Dataset, Floats
from redpop_assets.predictors.parts.ridge import Ridge

MODALITIES = ("image", "caption")
MEANS = ("neighbours_weighted_mean_log_score", "neighbours_mean_log_score")
SIMILARITY = "neighbours_mean_similarity"
LEVEL = "month_mean_log_score"
FILE = "ridge.safetensors"


class PastNeighbours(Predictor):
    """Kernel-weighted means of the nearest earlier posts' scores, combined by a ridge regression."""

    name = "past_neighbours"
    title = "The scores of the most similar earlier posts, weighted by how near they are"
    requires = frozenset({"neighbours"})
    uses = frozenset({"neighbours", "title_past", "seen", "community"})
    code_version = "2"

    widths: dict[str, float]
    """h per modality."""
    level: float
    """Mean log score of the train part: the community's level where no block tells a newer one."""
    mean: Floats
    deviation: Floats
    ridge: Ridge

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.take(np.argsort(train.created_at, kind="stable"))
        self.level, self.widths = float(train.labels.mean()), {}
        for modality in MODALITIES:
            similarity = _column(train.blocks["neighbours"], f"{modality}_{SIMILARITY}")
            if similarity is not None and (similarity > 0).any():
                self.widths[modality] = max(float(np.median(1 - similarity[similarity > 0])), 1e-3)
        inputs = self._described(train)
        self.mean, self.deviation = inputs.moments()
        self.ridge, _ = Ridge.fit(self._standardised(inputs), train.labels.astype(np.float64))
        return Training(self._predict(validation), notes=(f"ridge penalty {self.ridge.penalty:g}",))

    def _predict(self, data: Dataset) -> Doubles:
        return self.ridge.predict(self._standardised(self._described(data)))

    def _standardised(self, inputs: Block) -> Doubles:
        return inputs.standardised(self.mean, self.deviation).astype(np.float64)

    def _described(self, data: Dataset) -> Block:
        """The columns of the blocks, and the kernel-weighted difference of each kind of neighbours."""
        names = [name for name in BLOCK_NAMES if name in self.columns]
        columns = {f"{name}.{c}": v for name in names for c, v in zip(*_columns(data.blocks[name]), strict=True)}
        level = _column(data.blocks["community"], LEVEL) if "community" in data.blocks else None
        for modality, width in self.widths.items():
            similarity = _column(data.blocks["neighbours"], f"{modality}_{SIMILARITY}")
            for kind in MEANS:
                mean = _column(data.blocks["neighbours"], f"{modality}_{kind}")
                if similarity is not None and mean is not None:
                    difference = mean - (np.float32(self.level) if level is None else level)
                    columns[f"kernel.{modality}.{kind}"] = difference * np.exp((similarity - 1) / np.float32(width))
        return Block(np.column_stack(list(columns.values())), tuple(columns), np.ones(len(data), dtype=np.bool_))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        ridge = {
            "centre": self.ridge.centre,
            "coefficients": np.ascontiguousarray(self.ridge.coefficients),
            "numbers": np.array([self.ridge.intercept, self.ridge.penalty, self.level]),
        }
        widths = {f"width.{modality}": np.array([width]) for modality, width in self.widths.items()}
        save_file({"mean": self.mean, "deviation": self.deviation, **ridge, **widths}, folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        stored = load_file(folder / FILE)
        self.mean, self.deviation = stored["mean"], stored["deviation"]
        intercept, penalty, self.level = stored["numbers"].tolist()
        self.ridge = Ridge(stored["centre"], stored["coefficients"], intercept, penalty)
        self.widths = {m: float(stored[f"width.{m}"][0]) for m in MODALITIES if f"width.{m}" in stored}


def _columns(block: Block) -> tuple[tuple[str, ...], Floats]:
    return block.columns, block.values.T


def _column(block: Block, name: str) -> Floats | None:
    return block.values[:, block.columns.index(name)] if name in block.columns else None

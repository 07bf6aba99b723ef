"""`learn_deeply`: metadata, objects and aesthetics in one network (Paul et al., #LearnDeeply), in all combinations.

Origin: three modules, tried alone and together: (1) metadata through fully connected layers, with an auxiliary output;
(2) the five most probable ImageNet classes, mapped upwards to families of things, through an embedding and fully
connected layers; (3) a network trained to rate photographs as a fixed extractor, its last layer learnt anew. Squared
error on the log of the likes. `learn_deeply` has all three; each other combination is an entry of its own, so that the
leaderboard is the paper's Table 1 with intervals.

What the inputs become on Reddit, and why:

- hashtag weight: tags of the title (in brackets), each worth 1 for the most frequent tag of the train part, falling by
  rank to 1/k for the last of k, and 0 for an unknown one; summed. Nobody's score has a part in it;
- caption length; mentions of users and communities; month (once the posts cover a year), weekday and six groups of four
  hours, one-hot;
- followers and following: earlier posts, everywhere and here, the number of communities, and members of this one;
- average likes: mean of the author's earlier, matured scores, with a flag where there is none. The paper's average
  includes the very post: with 14 posts per author that alone gives a Spearman of 0.26 on pure noise;
- each number is brought to [0, 1]. The paper divides by the maximum, which hangs on one outlier; here the 1st and the
  99th percentile of the train part are 0 and 1, and what lies outside is cut off; an unknown value is the train mean;
- objects: probabilities of all classes summed by family, not the top five alone. The embedding of a picture is the sum
  of the embeddings of its families, weighted by them. A post without a picture shows nothing: all are 0;
- aesthetics: ratings by the trained judges. Without any, the vectors of the image network, from which one linear
  layer learns. A post without a picture has the mean rating, or the mean picture.

Choices the paper leaves open: widths 32 and 16 (metadata), 16 and 16 (embedding, objects), 1 layer to 8 (aesthetics);
their outputs are concatenated, then 16 -> 1; the auxiliary output counts 0.3; Adam.

The weight of a family, as in the paper's Table 2, is the sum over the train posts of what the prediction loses (in log
score) when the family is taken out of the picture, with a 95 % interval by resampling posts; `families.json` has all.
Neither the paper's loss nor this says that an object causes a score.

Memory: one standardised copy of the vectors, if they are used at all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from redpop_assets.arrays import np, npt
from redpop_assets.errors import NotTrainable
from redpop_assets.features.class_families import families
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats
from redpop_assets.predictors.parts.networks import Arrays, Inputs, NetworkRegressor, Recipe
from redpop_assets.predictors.parts.reduction import side_by_side

if TYPE_CHECKING:
    import torch

METADATA: Mapping[str, tuple[str, ...]] = {
    "text": ("characters", "user_mentions", "subreddit_mentions"),
    "author": ("past_mean_log_score", "is_cold_start", "past_posts", "past_posts_anywhere", "past_communities"),
    "community": ("log_subscribers",),
}
"""Block -> columns of the metadata module, beside the weight of the tags and the time of posting."""
HOURS_IN_A_GROUP = 4
PERCENTILES = (1.0, 99.0)
HIDDEN = 32
WIDTHS = {"metadata": 16, "objects": 16, "aesthetics": 8}
EMBEDDING = 16
JOINT = 16
DROPOUT = 0.2
AUXILIARY_WEIGHT = 0.3
RECIPE = Recipe(learning_rate=1e-3, weight_decay=1e-3, batch=64, most_epochs=80, patience=8)
RESAMPLES = 200
NAMED = 3
FILE, TAGS, FAMILIES = "learn_deeply.safetensors", "tags.json", "families.json"


class LearnDeeply(Predictor):
    """Metadata, objects and aesthetics in one network; without a picture there are no objects, and the mean rating."""

    name = "learn_deeply"
    title = "#LearnDeeply: metadata, objects and aesthetics in one network (Paul et al.)"
    modules: ClassVar[tuple[str, ...]] = ("metadata", "objects", "aesthetics")
    requires = frozenset({"time", "objects"})
    uses = frozenset({"time", *METADATA, "objects", "ratings", "image"})
    code_version = "1"
    library = "pytorch"

    tags: dict[str, float]
    """Weight of each tag of the train part."""
    scales: dict[str, Floats]
    """metadata.low, .high and .fill, aesthetics.mean and .deviation, (d,) each."""
    weights: dict[str, tuple[float, float, float]]
    """Family -> its weight and the ends of its interval."""
    regressor: NetworkRegressor

    def _choose(self, available: list[str]) -> list[str]:
        if "aesthetics" in self.modules and not {"ratings", "image"} & set(available):
            raise NotTrainable("needs ratings or images: no training row has either")
        # What judges say stands for what a network sees.
        return [name for name in available if name != "image" or "ratings" not in available]

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.tags, self.scales, self.weights = {}, {}, {}
        if "metadata" in self.modules:
            self.tags = tag_weights(_tags(train))
            low, high, fill = _unit_scale(self._metadata(train).values)
            self.scales |= {"metadata.low": low, "metadata.high": high, "metadata.fill": fill}
        if "aesthetics" in self.modules:
            self.scales["aesthetics.mean"], self.scales["aesthetics.deviation"] = self._aesthetics(train).moments()
        self.regressor = NetworkRegressor(build_network, RECIPE, _loss)
        inputs = self._inputs(train)
        epochs = self.regressor.fit(
            inputs, train.labels, self._inputs(validation), validation.labels, self.seed, self._say
        )
        notes: tuple[str, ...] = ()
        if "objects" in self.modules:
            self.weights = self._family_weights(inputs)
            ordered = sorted(self.weights, key=lambda family: -self.weights[family][0])
            best, worst = (
                ", ".join(f"{family} {self.weights[family][0]:+.3f}" for family in some)
                for some in (ordered[:NAMED], ordered[::-1][:NAMED])
            )
            notes = (f"families with the largest weights: {best}; with the smallest: {worst}",)
            self._say(f"{self.name}: {notes[0]}")
        return Training(self._predict(validation), rounds=epochs, rounds_of="epochs", notes=notes)

    def _predict(self, data: Dataset) -> Doubles:
        return self.regressor.predict(self._inputs(data))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        scales = {f"scale.{key}": value for key, value in self.scales.items()}
        save_file(self.regressor.arrays() | scales, folder / FILE)
        (folder / TAGS).write_text(json.dumps(self.tags, indent=1) + "\n", encoding="utf-8")
        (folder / FAMILIES).write_text(json.dumps(self.weights, indent=1) + "\n", encoding="utf-8")
        return [FILE, TAGS, FAMILIES]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / FILE)
        self.scales = {k.removeprefix("scale."): value for k, value in arrays.items() if k.startswith("scale.")}
        self.tags = json.loads((folder / TAGS).read_text(encoding="utf-8"))
        weights = json.loads((folder / FAMILIES).read_text(encoding="utf-8"))
        self.weights = {family: tuple(ends) for family, ends in weights.items()}
        self.regressor = NetworkRegressor(build_network, RECIPE, _loss)
        self.regressor.load_arrays(arrays)

    def _inputs(self, data: Dataset) -> Inputs:
        inputs: Arrays = {}
        if "metadata" in self.modules:
            low, high, fill = (self.scales[f"metadata.{end}"] for end in ("low", "high", "fill"))
            inputs["metadata"] = _to_unit(self._metadata(data).values, low, high, fill)
        if "objects" in self.modules:
            inputs["objects"] = np.nan_to_num(data.blocks["objects"].pick(self._families()).values)
        if "aesthetics" in self.modules:
            mean, deviation = self.scales["aesthetics.mean"], self.scales["aesthetics.deviation"]
            # Of length 1, or so: a thousand columns would else outrun all other inputs within an epoch.
            length = np.float32(np.sqrt(len(mean)))
            inputs["aesthetics"] = self._aesthetics(data).standardised(mean, deviation) / length
        return inputs

    def _metadata(self, data: Dataset) -> Block:
        """(n, d) metadata as they are; what is not known is NaN."""
        weights = [sum(self.tags.get(tag, 0.0) for tag in tags) for tags in _tags(data)]
        time = data.blocks["time"]
        parts = [np.array(weights, np.float32)[:, None]]
        for column, width, groups in (("hour", HOURS_IN_A_GROUP, 24 // HOURS_IN_A_GROUP), ("weekday", 1, 7)):
            if column in time.columns:
                parts.append(_one_hot(time.pick((column,)).values[:, 0] // width, groups))
        parts.append(time.pick(_known(time, (f"month_onehot_{month:02d}" for month in range(12)))).values)
        blocks = {name: _known(data.blocks[name], columns) for name, columns in METADATA.items() if name in data.blocks}
        values = np.hstack([*parts, side_by_side(data, blocks).values])
        return Block(values, tuple(map(str, range(values.shape[1]))), np.ones(len(data), np.bool_))

    def _families(self) -> tuple[str, ...]:
        return tuple(column for column in self.columns["objects"] if column.startswith("families_"))

    def _aesthetics(self, data: Dataset) -> Block:
        return data.blocks["ratings" if "ratings" in self.columns else "image"]

    def _family_weights(self, inputs: Inputs) -> dict[str, tuple[float, float, float]]:
        """Family -> summed loss of log score without it over the posts of `inputs`, and its 95 % interval."""
        whole = self.regressor.predict(inputs)
        shown = inputs["objects"]
        losses = np.zeros((len(whole), shown.shape[1]))
        for at in range(shown.shape[1]):
            without = shown.copy()
            without[:, at] = 0
            losses[:, at] = whole - self.regressor.predict({**inputs, "objects": without})
        rng = np.random.default_rng(self.seed)
        counts = rng.multinomial(len(whole), np.full(len(whole), 1 / len(whole)), size=RESAMPLES)
        low, high = np.percentile(counts @ losses, [2.5, 97.5], axis=0)
        lemmas = [family.lemma for family in families()]
        names = [lemmas[int(column.removeprefix("families_"))] for column in self._families()]
        sums = losses.sum(axis=0)
        return {name: (float(sums[at]), float(low[at]), float(high[at])) for at, name in enumerate(names)}


class LearnDeeplyMetadata(LearnDeeply):
    """The metadata module alone; blind to the picture."""

    name = "learn_deeply_metadata"
    title = "#LearnDeeply, metadata alone (Paul et al.)"
    modules = ("metadata",)
    requires = frozenset({"time"})
    uses = frozenset({"time", *METADATA})


class LearnDeeplyObjects(LearnDeeply):
    """The object module alone."""

    name = "learn_deeply_objects"
    title = "#LearnDeeply, objects alone (Paul et al.)"
    modules = ("objects",)
    requires = frozenset({"objects"})
    uses = frozenset({"objects"})


class LearnDeeplyAesthetics(LearnDeeply):
    """The aesthetics module alone."""

    name = "learn_deeply_aesthetics"
    title = "#LearnDeeply, aesthetics alone (Paul et al.)"
    modules = ("aesthetics",)
    requires = frozenset()
    uses = frozenset({"ratings", "image"})


class LearnDeeplyMetadataObjects(LearnDeeply):
    """Metadata and objects."""

    name = "learn_deeply_metadata_objects"
    title = "#LearnDeeply, metadata and objects (Paul et al.)"
    modules = ("metadata", "objects")
    requires = frozenset({"time", "objects"})
    uses = frozenset({"time", *METADATA, "objects"})


class LearnDeeplyMetadataAesthetics(LearnDeeply):
    """Metadata and aesthetics."""

    name = "learn_deeply_metadata_aesthetics"
    title = "#LearnDeeply, metadata and aesthetics (Paul et al.)"
    modules = ("metadata", "aesthetics")
    requires = frozenset({"time"})
    uses = frozenset({"time", *METADATA, "ratings", "image"})


class LearnDeeplyObjectsAesthetics(LearnDeeply):
    """Objects and aesthetics: what the picture alone tells."""

    name = "learn_deeply_objects_aesthetics"
    title = "#LearnDeeply, objects and aesthetics (Paul et al.)"
    modules = ("objects", "aesthetics")
    requires = frozenset({"objects"})
    uses = frozenset({"objects", "ratings", "image"})


def tag_weights(tags: Iterable[Iterable[str]]) -> dict[str, float]:
    """Tag -> weight by rank of how many posts have it: 1 for the first of k, 1/k for the last; equals by alphabet."""
    counts = Counter(tag for post in tags for tag in post)
    ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
    return {tag: 1 - rank / len(ranked) for rank, tag in enumerate(ranked)}


def build_network(widths: Mapping[str, int]) -> torch.nn.Module:
    """The untrained network of the modules that `widths` names (Figure 2)."""
    import torch
    from torch.nn import Dropout, Linear, ReLU, Sequential

    def module(name: str) -> Sequential:
        if name == "metadata":
            hidden, out = Linear(widths[name], HIDDEN), Linear(HIDDEN, WIDTHS[name])
            return Sequential(hidden, ReLU(), Dropout(DROPOUT), out, ReLU())
        if name == "objects":
            # A weighted sum of embeddings is a linear layer without a constant.
            embedding = Linear(widths[name], EMBEDDING, bias=False)
            return Sequential(embedding, Linear(EMBEDDING, WIDTHS[name]), ReLU(), Dropout(DROPOUT))
        return Sequential(Linear(widths[name], WIDTHS[name]))

    class Modules(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleDict({name: module(name) for name in widths})
            joint = Linear(sum(WIDTHS[name] for name in widths), JOINT)
            self.head = Sequential(joint, ReLU(), Linear(JOINT, 1))
            self.auxiliary = Linear(WIDTHS["metadata"], 1) if "metadata" in widths else None

        def both(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
            """The prediction, and that of the metadata module by itself."""
            found = {name: part(inputs[name]) for name, part in self.parts.items()}
            joined = self.head(torch.cat([found[name] for name in self.parts], dim=1)).squeeze(1)
            return joined, None if self.auxiliary is None else self.auxiliary(found["metadata"]).squeeze(1)

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.both(inputs)[0]

    return Modules()


def _loss(network: Any, inputs: dict[str, torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """Squared error of the prediction, and with less weight of the auxiliary output."""
    import torch

    joined, auxiliary = network.both(inputs)
    error = torch.nn.functional.mse_loss(joined, target)
    if auxiliary is None:
        return error
    return error + AUXILIARY_WEIGHT * torch.nn.functional.mse_loss(auxiliary, target)


def _tags(data: Dataset) -> list[list[str]]:
    return caption_tokens(data.captions or ("",) * len(data)).tags


def _one_hot(groups: Floats, count: int) -> Floats:
    """(n, count) one-hot of (n,) whole numbers from 0 to count - 1; rows of NaN where unknown."""
    return np.where(np.isnan(groups)[:, None], np.nan, groups[:, None] == np.arange(count)).astype(np.float32)


def _known(block: Block, columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(column for column in columns if column in block.columns)


def _unit_scale(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Where 0 and 1 are for each column of (n, d) values, and what stands for an unknown one (on the new scale)."""
    known = np.where(np.isnan(values).all(axis=0), 0, values)
    low, high = np.nanpercentile(known, PERCENTILES, axis=0)
    # A rare flag is constant between the percentiles; its ends are then those of all values.
    flat = high <= low
    low, high = np.where(flat, np.nanmin(known, axis=0), low), np.where(flat, np.nanmax(known, axis=0), high)
    low, high = low.astype(np.float32), high.astype(np.float32)
    scaled = np.where(np.isnan(known), np.nan, _to_unit(known, low, high, np.zeros_like(low)))
    return low, high, np.nanmean(scaled, axis=0).astype(np.float32)


def _to_unit(values: Floats, low: Floats, high: Floats, fill: Floats) -> Floats:
    span = np.where(high > low, high - low, np.inf)  # what never varied says nothing
    scaled: npt.NDArray[Any] = np.clip((values - low) / span, 0, 1)
    return np.asarray(np.where(np.isnan(values), fill, scaled), dtype=np.float32)

"""`retrieval_attention`: which of the posts most like this one tell how it will do, and whether any does.

Origin: retrieval-augmented prediction of popularity (SKAPP, AAAI 2025, and its relatives MMRA and RAGTrans), which
retrieves posts like this one and attends over their contents and fates, with usefulness learnt instead of likeness
taken for it. Choices:

- the neighbours are those of the block `retrieved`: the ten nearest by picture and the ten nearest by caption, of
  strictly earlier posts whose scores were mature when this one was made, none of them of the same picture;
- what is expected without them, the own expectation, is that of `multimodal_mlp` without the block `neighbours`.
  Attention divides 1 between it, the level of the community, and the fates of the neighbours, each of which is the
  level now plus how the neighbour stood when it was made:

      expected = a_own own + a_level level + sum_k a_k (level + standing_k),   a = softmax(s_own, s_level, s_1, ...)

  so that the gate is the share of the neighbours: 0 where none counts. s_k is a small network of how near a neighbour
  is in picture and in caption, how long ago it was, whether it is by the same author, by which of both it was found,
  and how far its fate is from the own expectation, plus a product of what post and neighbour are like: components of
  the post's vectors, sketches of the neighbour's. The product begins at 0 and learns slower by `SLOW`: among a few
  hundred posts it would learn by heart who is like whom. s_own and s_level are numbers that begin high: nobody is
  listened to before having shown to be worth it, and the level is there so that what only draws an expectation to the
  middle is not taken for a neighbour;
- a network knows the posts that it learnt from by heart, and beside what it says of these no neighbour could be of use.
  So attention learns from own expectations that are out of fold in time: of the last `STRETCHES` of `BLOCKS` stretches
  of the train part, each predicted by networks that learnt from the posts before it. The validation part, predicted by
  the networks that stay, says when to stop, which may be before the first epoch;
- the mean of `MEMBERS` attentions of different seeds.

Variants are its controls: `retrieval_attention_alone` is the own expectation; `retrieval_attention_similarity` weighs
neighbours by their similarity alone, and learns only how much they all count; `retrieval_attention_shuffled` gives
each neighbour the standing of one of another post, so that what it gains is chance.

A post without neighbours, or without the block, is expected to do as its own expectation and the level say. Memory:
that of `multimodal_mlp`, plus n x 780 numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from redpop_assets.arrays import np
from redpop_assets.features.neighbours import MODALITIES, NEIGHBOURS
from redpop_assets.features.retrieved import BOTH, LEVEL, OF_EACH, PLACES, SKETCH, SKETCHES
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import EMBEDDINGS, Dataset, Floats, vector_columns
from redpop_assets.predictors.parts.networks import NetworkRegressor, Recipe, tensors_of
from redpop_assets.predictors.systems.multimodal_mlp import MultimodalMLP

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

BLOCK: Final = "retrieved"
KEYS: Final = ("similarity", "both", "days", "same_author")
"""What is known of a neighbour besides its fate and its contents; each is standardised by modality."""

CONTENT: Final = len(SKETCHES) * SKETCH
NUMBERS: Final = 2 + len(KEYS) + 1 + CONTENT
"""Of each neighbour: whether it is there, its fate, the keys, by which modality it was found, its sketches."""

MOST = 4.0
"""Bound of a standardised number."""
BLOCKS, STRETCHES = 4, 2
STOPPING_SHARE = 0.15
"""Of the posts before a stretch, the newest, for the early stopping of the own expectation."""
MEMBERS = 3
HIDDEN, PRODUCT = 16, 8
SLOW = 0.1
GATE_COST = 0.1
"""What listening to neighbours alone costs, as a share of the variance of labels that it has to explain."""
DROPPED = 0.1
"""Share of the neighbours that a post goes without in training."""
OWN, LEVEL_SHARE = 5.0, 4.0
"""Where s_own and s_level begin: 20 neighbours have a share of 0.09 then."""
RECIPE = Recipe(learning_rate=5e-3, weight_decay=1e-3, batch=64, most_epochs=60, patience=10)
OWN_FOLDER, FILE, STANDINGS = "own", "attention.safetensors", "standings.safetensors"


class Alone(MultimodalMLP):
    """The own expectation: what is left if nobody looks at neighbours one by one."""

    name = "retrieval_attention_alone"
    title = "Control of retrieval attention: the same network without neighbours"
    uses = MultimodalMLP.uses - {"neighbours"}


class _BeforeAStretch(Alone):
    """The own expectation as few posts taught it: only attention learns from what it says."""

    minimum_train = 40
    minimum_validation = 5


@dataclass(frozen=True)
class Counted:
    """What neighbours counted for in the expectations of n posts.

    Attributes:
        weights: (n, `PLACES`) shares of attention, in the order of `features.retrieved.nearest_posts`; 0 where there is
            no neighbour. With the shares of the own expectation and of the level they sum to 1.
        added: (n, `PLACES`) by how much each moves the expectation from the own one (log score).
    """

    weights: Doubles
    added: Doubles

    @property
    def gate(self) -> Doubles:
        """(n,) share of all neighbours together: 0 where none counts."""
        total: Doubles = self.weights.sum(axis=1)
        return total


class RetrievalAttention(Predictor):
    """An own expectation, the level and the fates of neighbours, divided by attention."""

    name = "retrieval_attention"
    title = "Attention over the most similar earlier posts, learning which of them tell (after SKAPP)"
    requires = frozenset({"caption", BLOCK})
    uses = Alone.uses | {BLOCK}
    code_version = "-".join(("1", MultimodalMLP.code_version))
    library = "pytorch"

    weighing: ClassVar[Literal["learnt", "similarity"]] = "learnt"

    own: Alone
    label: Floats
    """Mean and deviation of the labels of the train part."""
    key_scales: Floats
    """(2, modalities, keys): mean and deviation over the neighbours of the train part."""
    sketch_scales: Floats
    """(2, CONTENT): likewise."""
    members: list[NetworkRegressor]

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.take(np.argsort(train.created_at, kind="stable"))
        self.label = np.array([train.labels.mean(), max(train.labels.std(), 1e-6)], dtype=np.float32)
        self._scale(self._told(train))
        later = [self._out_of_fold(*stretch) for stretch in self._stretches(train)]
        self.own = Alone(seed=self.seed)
        self.own.fit(train.without([BLOCK]), validation.without([BLOCK]))
        parts = [self._inputs(data, expected) for data, expected in later]
        inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        labels = self._standardised(np.concatenate([data.labels for data, _ in later]))
        held_out = self._inputs(validation, self.own.predict(validation)), self._standardised(validation.labels)
        self.members, epochs = [], []
        for member in range(MEMBERS):
            attention = self._untrained()
            epochs.append(attention.fit(inputs, labels, *held_out, self.seed * MEMBERS + member, self._say))
            self.members.append(attention)
        gate = self.counted(validation).gate.mean()
        notes = (f"share of neighbours on the validation part {gate:.2f}",)
        return Training(self._predict(validation), rounds=max(epochs), rounds_of="epochs", notes=notes)

    def _stretches(self, train: Dataset) -> list[tuple[Dataset, Dataset]]:
        """Parts of the posts, in the order of time: those before a stretch, and those in it."""
        blocks = np.array_split(np.arange(len(train)), BLOCKS)
        numbers = range(BLOCKS - STRETCHES, BLOCKS)
        return [(train.take(np.concatenate(blocks[:k])), train.take(blocks[k])) for k in numbers]

    def _out_of_fold(self, past: Dataset, later: Dataset) -> tuple[Dataset, Doubles]:
        """A stretch, and what those expect of it who learnt from the posts before it."""
        newest = np.arange(len(past)) >= len(past) - round(STOPPING_SHARE * len(past))
        own = _BeforeAStretch(seed=self.seed)
        own.fit(past.select(~newest).without([BLOCK]), past.select(newest).without([BLOCK]))
        return later, own.predict(later)

    def _predict(self, data: Dataset) -> Doubles:
        inputs = self._inputs(data, self.own.predict(data))
        expected = np.mean([member.predict(inputs) for member in self.members], axis=0)
        return np.asarray(expected * self.label[1] + self.label[0])

    def counted(self, data: Dataset) -> Counted:
        """What each neighbour counted for in what `predict` says of these posts.

        Raises:
            ArtifactError: the data lack something, as in `predict`.
        """
        import torch

        self._check_columns(data)
        data = data.pick(self.columns)
        inputs = tensors_of(self._inputs(data, self.own.predict(data)))
        weights, added = np.zeros((len(data), PLACES)), np.zeros((len(data), PLACES))
        with torch.no_grad():
            for member in self.members:
                shares, changes = member.network.attention(inputs)  # type: ignore[operator]
                weights += shares.numpy()[:, :PLACES] / MEMBERS
                added += (shares * changes).numpy()[:, :PLACES] / MEMBERS
        return Counted(weights, added * float(self.label[1]))

    def similarity(self, data: Dataset, place: int) -> float:
        """How near the neighbour in one of the `PLACES` of the first post is, in what it was found by: a cosine."""
        return float(self._told(data.pick(self.columns))["similarity"][0, place])

    def _told(self, data: Dataset) -> dict[str, Floats]:
        """What the block says of the neighbours: (n, `PLACES`) each, sketches (n, `PLACES`, CONTENT), level (n,)."""
        block = data.blocks[BLOCK]
        at = {name: position for position, name in enumerate(block.columns)}
        values = np.nan_to_num(block.values)

        def vector(name: str, width: int) -> Floats:
            # A column that never varied in the train part is not among those that are looked at.
            found = np.zeros((len(values), width), dtype=np.float32)
            for position, column in enumerate(vector_columns(name, width)):
                if column in at:
                    found[:, position] = values[:, at[column]]
            return found

        def of_all(names: list[str], width: int = NEIGHBOURS) -> Floats:
            return np.hstack([vector(name, width) for name in names])

        told = {name: of_all([f"{modality}_{name}" for modality in MODALITIES]) for name in OF_EACH}
        sketches = [of_all([f"{modality}_{name}" for modality in MODALITIES], NEIGHBOURS * SKETCH) for name in SKETCHES]
        level = values[:, at[LEVEL]] if LEVEL in at else np.full(len(values), self.label[0])
        return {
            **told,
            "there": (told["days"] > 0).astype(np.float32),
            "both": of_all(list(BOTH.values())),
            "days": np.log1p(np.maximum(told["days"], 0)),
            "sketches": np.concatenate([some.reshape(-1, PLACES, SKETCH) for some in sketches], axis=2),
            "level": np.where(block.present, level, self.label[0]),
        }

    def _scale(self, told: dict[str, Floats]) -> None:
        """Take mean and deviation of what neighbours are like from those of the train part; 0 where there are none."""
        there = told["there"] > 0
        self.key_scales = np.zeros((2, len(MODALITIES), len(KEYS)), dtype=np.float32)
        self.sketch_scales = np.zeros((2, CONTENT), dtype=np.float32)
        if there.any():
            drawn = told["sketches"][there]
            self.sketch_scales[:] = drawn.mean(axis=0), drawn.std(axis=0)
        for modality in range(len(MODALITIES)):
            places = slice(modality * NEIGHBOURS, (modality + 1) * NEIGHBOURS)
            if there[:, places].any():
                known = [told[name][:, places][there[:, places]] for name in KEYS]
                self.key_scales[:, modality] = [some.mean() for some in known], [some.std() for some in known]

    def _inputs(self, data: Dataset, own: Doubles) -> dict[str, Floats]:
        """What attention sees of n posts: own expectation and level (n, 1), what each is like (n, k), neighbours."""
        told = self._told(data)
        keys = _scaled(np.stack([told[name] for name in KEYS], axis=2), np.repeat(self.key_scales, NEIGHBOURS, axis=1))
        by = np.repeat(np.array([-1, 1], dtype=np.float32), NEIGHBOURS)
        parts = [
            told["there"][..., None],
            self._standardised(told["level"][:, None] + told["standing"])[..., None],
            keys,
            np.broadcast_to(by, told["there"].shape)[..., None],
            _scaled(told["sketches"], self.sketch_scales[:, None]),
        ]
        neighbours = np.concatenate(parts, axis=2) * told["there"][..., None]
        like = [
            self.own.projections[name].scores(data.blocks[name]) for name in EMBEDDINGS if name in self.own.projections
        ]
        return {
            "own": self._standardised(own)[:, None],
            "level": self._standardised(told["level"])[:, None],
            "like": np.nan_to_num(np.hstack([some * np.sqrt(some.shape[1]) for some in like])).astype(np.float32),
            "neighbours": neighbours.reshape(len(data), PLACES * NUMBERS).astype(np.float32),
        }

    def _standardised(self, log_score: Doubles | Floats) -> Floats:
        return np.asarray((log_score - self.label[0]) / self.label[1], dtype=np.float32)

    def _untrained(self) -> NetworkRegressor:
        def build(widths: Mapping[str, int]) -> torch.nn.Module:
            return build_network(widths["like"], self.weighing)

        return NetworkRegressor(build, RECIPE, _loss, standardise=False)

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        arrays: dict[str, np.ndarray[Any, Any]] = {
            name: getattr(self, name) for name in ("label", "key_scales", "sketch_scales")
        }
        for number, member in enumerate(self.members):
            arrays |= member.arrays(f"member{number}")
        save_file(arrays, folder / FILE)
        self.own.save(folder / OWN_FOLDER)
        return [FILE, *(f"{OWN_FOLDER}/{path.name}" for path in sorted((folder / OWN_FOLDER).iterdir()))]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / FILE)
        self.label, self.key_scales, self.sketch_scales = (
            arrays[name] for name in ("label", "key_scales", "sketch_scales")
        )
        self.own = Alone.load(folder / OWN_FOLDER)
        self.members = [self._untrained() for _ in range(MEMBERS)]
        for number, member in enumerate(self.members):
            member.load_arrays(arrays, f"member{number}")


class Similarity(RetrievalAttention):
    """Neighbours weighted by similarity: what is learnt is how much all of them count."""

    name = "retrieval_attention_similarity"
    title = "Control of retrieval attention: neighbours weighted by similarity"
    weighing = "similarity"


class Shuffled(RetrievalAttention):
    """The same attention to neighbours each of whom has the standing of another: it must not gain by them.

    Standings are drawn from those of the train part, by the id of the post, so that a post by itself gets the same.
    """

    name = "retrieval_attention_shuffled"
    title = "Control of retrieval attention: standings of neighbours shuffled"

    drawn_from: Floats

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.drawn_from = np.zeros(0, dtype=np.float32)
        return super()._fit(train, validation)

    def _scale(self, told: dict[str, Floats]) -> None:
        self.drawn_from = told["standing"][told["there"] > 0]
        super()._scale(told)

    def _told(self, data: Dataset) -> dict[str, Floats]:
        told = super()._told(data)
        if len(self.drawn_from):
            for row, post_id in enumerate(data.post_ids):
                seed = int.from_bytes(hashlib.sha256(post_id.encode()).digest()[:8])
                drawn = np.random.default_rng(seed).choice(self.drawn_from, PLACES)
                told["standing"][row] = np.where(told["there"][row] > 0, drawn, 0)
        return told

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file({"standings": self.drawn_from}, folder / STANDINGS)
        return [STANDINGS, *super()._save_files(folder)]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.drawn_from = load_file(folder / STANDINGS)["standings"]
        super()._load_files(folder)


def _loss(network: torch.nn.Module, inputs: Tensors, target: torch.Tensor) -> torch.Tensor:
    """The squared error, and what it costs to listen to neighbours."""
    weights, changes = network.attention(inputs)  # type: ignore[operator]
    error = inputs["own"].squeeze(1) + (weights * changes).sum(dim=1) - target
    loss: torch.Tensor = (error**2).mean() + GATE_COST * weights[:, :PLACES].sum(dim=1).mean()
    return loss


def _scaled(values: Floats, scales: Floats) -> Floats:
    """Values in deviations from the mean, bounded; 0 where a number does not vary."""
    mean, deviation = scales
    scaled: Floats = np.clip((values - mean) / np.where(deviation > 1e-6, deviation, np.inf), -MOST, MOST)
    return scaled


def build_network(like: int, weighing: Literal["learnt", "similarity"]) -> torch.nn.Module:
    """The untrained attention: its forward takes what `_inputs` gives and returns (n,) standardised log scores.

    Args:
        like: numbers that tell what a post is like.
        weighing: see `RetrievalAttention`.
    """
    import torch
    from torch import nn

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = nn.Sequential(nn.Linear(len(KEYS) + 2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
            self.query, self.key = nn.Linear(like, PRODUCT), nn.Linear(CONTENT, PRODUCT)
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)
            self.shares = nn.Parameter(torch.tensor([LEVEL_SHARE, OWN]))

        def attention(self, inputs: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
            """(n, PLACES + 1) shares of the neighbours and of the level, and how far each is from the own one."""
            told = inputs["neighbours"].reshape(-1, PLACES, NUMBERS)
            there, fate, keys = told[..., 0] > 0, told[..., 1], told[..., 2 : NUMBERS - CONTENT]
            sketches = told[..., NUMBERS - CONTENT :]
            change = fate - inputs["own"]
            if self.training:
                there = there & (torch.rand(there.shape, device=there.device) >= DROPPED)
            if weighing == "similarity":
                # keys[..., 0] is standardised, and enters as a share of attention would: by its exponential.
                scores = keys[..., 0]
            else:
                scores = self.score(torch.cat([keys, change[..., None].abs()], dim=2)).squeeze(2)
                product = (self.key(sketches) * self.query(inputs["like"])[:, None]).sum(dim=2)
                scores = scores + SLOW * product / PRODUCT**0.5
            scores = torch.where(there, scores, torch.full_like(scores, -1e9))
            scores = torch.cat([scores, self.shares.expand(len(told), 2)], dim=1)
            level = inputs["level"] - inputs["own"]
            return torch.softmax(scores, dim=1)[:, :-1], torch.cat([change, level], dim=1)

        def forward(self, inputs: Tensors) -> torch.Tensor:
            weights, changes = self.attention(inputs)
            expected: torch.Tensor = inputs["own"].squeeze(1) + (weights * changes).sum(dim=1)
            return expected

    return Attending()

"""`dual_attention`: is this picture with this caption a better or a worse one of its author's, or community's?

Origin: Zhang, Li, Chen, Zhou and Luo, "How to Become Instagram Famous: Post Popularity Prediction with Dual-Attention".
An explicit attention weighs the words of the caption by the picture, an implicit one joins the means of what the user
showed and wrote before (the environment), and a hierarchical head gives the probability that the post is in the top
quarter of the user's posts rather than in the bottom quarter. Equations (1) to (7) are those of the paper, with its
misprints put right: the words in (2) are the states Q^e, A W_v V is an outer product, W_h is transposed, and (7) has a
minus sign.

Choices, where the paper is silent, leaks or does not fit Reddit:

- most Redditors post once: top and bottom quarters are those of the author among at least `LEAST_AUTHOR_POSTS` posts in
  a window, else those of the community there. A window is a stretch of about `WINDOW_POSTS` posts, so that a growing
  community does not make all late posts popular. Equal scores get equal labels; the middle half is not learnt from;
- the environment comes from strictly earlier posts (`features.environments`); the paper averages all posts, the
  predicted one, later ones and test posts among them. Its topic vectors are the caption vectors of the text network
  or topic model that is set; a post without any past has the mean environment;
- pictures and environments are standardised on the train part; a missing picture is the mean picture. The vocabulary
  are the tokens of at least `LEAST_WORD_POSTS` train captions; all others are one word, "unknown", and so is an empty
  caption;
- embedding and LSTM have `STATE` units, not 512, for captions of ten words in communities of some thousand posts;
  widths that are not given are `STATE` too. Dropout `DROPOUT` before the head, and weight decay;
- the paper's rates, 1e-3 for two epochs and 1e-4 from then on, count its epochs of 171 batches, whatever the number of
  posts here; at most `MOST_STEPS` batches, and the epoch with the least loss on the validation part is kept.

The probability is turned into an expected log score by a straight line with a slope above 0, fitted to the validation
part, whose middle half no label was made from either; the reported validation metrics are of lines through other posts.
What the class cannot tell, how popular an author is to begin with, the log score lacks.

The baselines of table I and the ablations of table II are the same module with other `parts`, and predictors of their
own: `dual_attention_visual`, `_textual`, `_early`, `_late`, `_ccr`, `_similarity`, `_explicit`, `_env`, `_env_implicit`
and `_explicit_env`. The registry finds them by name, but they are no assets and not on the leaderboard.

Memory: it learns from the newest `MOST_ROWS` posts, and predicts some thousand at a time; standardised inputs are held
once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from redpop_assets.arrays import np, npt
from redpop_assets.errors import NotTrainable
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats
from redpop_assets.predictors.parts.calibration import LinearMap, mapped_out_of_fold
from redpop_assets.predictors.parts.networks import NetworkRegressor, Recipe, below

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

PAPER_EPOCH = 171
"""Batches of 128 in the paper's 21,874 training posts."""
FAST_EPOCHS = 2
LEARNING_RATE = 1e-3
SLOWER = 0.1
WEIGHT_DECAY = 1e-2
BATCH = 128
MOST_STEPS = 800
PATIENCE_STEPS = 60
STATE = 64
ATTENTION = 128
DROPOUT = 0.5
WINDOW_POSTS = 250
LEAST_AUTHOR_POSTS = 12
LEAST_OF_A_CLASS = 20
LEAST_WORD_POSTS = 2
MOST_WORDS = 5000
MOST_CAPTION_TOKENS = 32
MOST_ROWS = 50_000
NO_WORD, UNKNOWN = 0, 1
TENSORS, DETAILS = "network.safetensors", "words.json"


@dataclass(frozen=True)
class Parts:
    """What a model of the family consists of.

    Args:
        pair: how picture and caption are joined: "visual" and "textual" look at one of them only; "early" puts both
            side by side; "late" is the mean of two probabilities; "ccr" fits each one's prediction to the joint one
            by KL divergence; "similarity" sees their cosine only; "explicit" is the attention of (1) to (3).
        environment: None, "direct" (side by side) or "implicit" (the attention of (4) and (5)).
    """

    pair: str
    environment: str | None = None


class DualAttention(Predictor):
    """Explicit attention to words, implicit attention to the environment; a missing picture is the mean picture."""

    name = "dual_attention"
    title = "Dual attention: words weighed by the picture, within what the author or community posts (Zhang et al.)"
    requires = frozenset({"image", "environment"})
    uses = frozenset({"image", "environment"})
    reads_captions = True
    code_version = "1"
    library = "pytorch"

    parts: ClassVar[Parts] = Parts("explicit", "implicit")

    vocabulary: tuple[str, ...]
    """Known words, the commonest first; the first of them has number 2."""
    scales: dict[str, Floats]
    """"mean.<input>" and "deviation.<input>" (d,) of the train part."""
    classifier: NetworkRegressor
    line: LinearMap
    """From the probability to the log score."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.newest(MOST_ROWS)
        classes, held_out_classes = quarter_labels(train), quarter_labels(validation)
        learnt, watched = ~np.isnan(classes), ~np.isnan(held_out_classes)
        found = {"top": int((classes == 1).sum()), "bottom": int((classes == 0).sum())}
        for quarter, count in found.items():
            if count < LEAST_OF_A_CLASS:
                raise NotTrainable(f"too few posts in the {quarter} quarter: {count} of {LEAST_OF_A_CLASS}")
        if len(set(held_out_classes[watched])) < 2:
            raise NotTrainable("the validation posts have no top and bottom quarter: their scores are equal")

        self.vocabulary = common_words(train.captions) if self.parts.pair != "visual" else ()
        self.scales = {}
        for name, block in self._vectors(train).items():
            self.scales[f"mean.{name}"], self.scales[f"deviation.{name}"] = block.moments()
        inputs, held_out = self._inputs(train.select(learnt)), self._inputs(validation.select(watched))
        batches = -(-int(learnt.sum()) // BATCH)
        recipe = Recipe(
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            batch=BATCH,
            most_epochs=max(-(-MOST_STEPS // batches), 4),
            patience=max(-(-PATIENCE_STEPS // batches), 3),
            schedule=lambda epoch: 1.0 if (epoch - 1) * batches < FAST_EPOCHS * PAPER_EPOCH else SLOWER,
        )
        self.classifier = self._untrained(recipe)
        best = self.classifier.fit(inputs, classes[learnt], held_out, held_out_classes[watched], self.seed, self._say)
        self._say(f"{self.name}: {found['top']} posts of top and {found['bottom']} of bottom quarters; epoch {best}")
        in_time = validation.newest(len(validation))
        labels = in_time.labels.astype(np.float64)
        probability = self.probability(in_time)
        self.line = LinearMap.fit(probability, labels)
        expected = mapped_out_of_fold(probability, labels)
        back = np.argsort(np.argsort(validation.created_at, kind="stable"), kind="stable")
        return Training(expected[back], rounds=best, rounds_of="epochs")

    def _predict(self, data: Dataset) -> Doubles:
        return self.line.apply(self.probability(data))

    def probability(self, data: Dataset) -> Doubles:
        """(n,) probability of the top quarter, as opposed to the bottom one.

        Made for analyses too: rows that share a caption, with the cells of the grid of a picture as vectors in the
        block `image`, give the map of the paper's figure 5.
        """
        logits = self.classifier.predict(self._inputs(data.pick(self.columns)))
        return np.asarray(1 / (1 + np.exp(-logits)))

    def word_weights(self, data: Dataset) -> list[list[tuple[str, float]]]:
        """The words of each caption with their attention, which sums to 1; empty for a caption without words.

        Raises:
            ArtifactError: the data lack something, as in `predict`.
            ValueError: the model has no explicit attention.
        """
        import torch

        if self.parts.pair != "explicit":
            raise ValueError(f"{self.name} has no attention to words")
        self._check_columns(data)
        inputs = {name: torch.from_numpy(values) for name, values in self._inputs(data.pick(self.columns)).items()}
        with torch.no_grad():
            weights = self.classifier.network.word_weights(inputs).numpy()  # type: ignore[operator]
        tokens = caption_tokens(data.captions).tokens
        return [
            [(token, float(weight)) for token, weight in zip(words[:MOST_CAPTION_TOKENS], row, strict=False)]
            for words, row in zip(tokens, weights, strict=True)
        ]

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file({f"scale.{k}": v for k, v in self.scales.items()} | self.classifier.arrays(), folder / TENSORS)
        details = {"vocabulary": self.vocabulary, "slope": self.line.slope, "intercept": self.line.intercept}
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        return [TENSORS, DETAILS]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / TENSORS)
        details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
        self.vocabulary = tuple(details["vocabulary"])
        self.line = LinearMap(details["slope"], details["intercept"])
        self.scales = below(arrays, "scale.")
        self.classifier = self._untrained(Recipe())
        self.classifier.load_arrays(arrays)

    def _untrained(self, recipe: Recipe) -> NetworkRegressor:
        def build(widths: Mapping[str, int]) -> torch.nn.Module:
            return build_network(self.parts, widths, words=len(self.vocabulary) + 2)

        return NetworkRegressor(build, recipe, _loss, _cross_entropy, standardise=False)

    def _vectors(self, data: Dataset) -> dict[str, Block]:
        """The picture, and both means of the environment, as far as the model looks at them."""
        vectors = {}
        if "image" in self.columns and self.parts.pair != "textual":
            vectors["image"] = data.blocks["image"]
        if self.parts.environment is not None:
            block = data.blocks["environment"]
            for name in ("image_mean", "caption_mean"):
                mean = block.pick(tuple(column for column in block.columns if column.startswith(f"{name}_")))
                values = mean.values.copy()
                values[~values.any(axis=1)] = np.nan  # zeros mean that there is no past
                vectors[name] = Block(values, mean.columns, mean.present)
        return vectors

    def _inputs(self, data: Dataset) -> dict[str, npt.NDArray[Any]]:
        inputs: dict[str, npt.NDArray[Any]] = {
            name: block.standardised(self.scales[f"mean.{name}"], self.scales[f"deviation.{name}"])
            for name, block in self._vectors(data).items()
        }
        if self.parts.pair != "visual":
            inputs["words"] = word_numbers(data.captions, self.vocabulary)
        return inputs


def quarter_labels(data: Dataset) -> Floats:
    """(n,) float32: 1 in the top quarter of the author's or the community's scores in a window of time, 0 in the bottom
    quarter, NaN between.

    A score equal to the quartile is in the quarter, so equal scores get equal labels; a group whose quartiles are equal
    has none.
    """
    scores, labels = data.labels, np.full(len(data), np.nan, dtype=np.float32)
    order = np.argsort(data.created_at, kind="stable")
    for window in np.array_split(order, max(1, len(data) // WINDOW_POSTS)):
        posts = Counter(data.authors[row] for row in window) if data.authors else Counter[str | None]()
        groups: dict[str | None, list[int]] = {}
        for row in window.tolist():
            author = data.authors[row] if data.authors else None
            own = author is not None and posts[author] >= LEAST_AUTHOR_POSTS
            groups.setdefault(author if own else None, []).append(row)
        for rows in groups.values():
            low, high = np.quantile(scores[rows], [0.25, 0.75])
            if low < high:
                labels[rows] = np.select([scores[rows] >= high, scores[rows] <= low], [1, 0], np.nan)
    return labels


def common_words(captions: Sequence[str]) -> tuple[str, ...]:
    """The tokens of at least `LEAST_WORD_POSTS` captions, at most `MOST_WORDS`, the commonest first."""
    posts = Counter(token for tokens in caption_tokens(captions).tokens for token in set(tokens))
    ranked = sorted((-count, token) for token, count in posts.items() if count >= LEAST_WORD_POSTS)
    return tuple(token for _, token in ranked[:MOST_WORDS])


def word_numbers(captions: Sequence[str], vocabulary: Sequence[str]) -> npt.NDArray[np.int64]:
    """(n, `MOST_CAPTION_TOKENS`) numbers of the first words of each caption, then `NO_WORD`."""
    known = {token: number for number, token in enumerate(vocabulary, start=UNKNOWN + 1)}
    numbers = np.full((len(captions), MOST_CAPTION_TOKENS), NO_WORD, dtype=np.int64)
    for row, tokens in enumerate(caption_tokens(captions).tokens):
        kept = [known.get(token, UNKNOWN) for token in tokens[:MOST_CAPTION_TOKENS]] or [UNKNOWN]
        numbers[row, : len(kept)] = kept
    return numbers


def build_network(parts: Parts, widths: Mapping[str, int], words: int) -> torch.nn.Module:
    """The untrained network.

    Args:
        widths: number of inputs of "image", "image_mean" and "caption_mean", as far as `parts` needs them.
        words: different numbers of words, `NO_WORD` and `UNKNOWN` included.

    Its forward takes {name: (n, width) float32, "words": (n, T) int64} and returns (n,) logits.
    """
    import torch
    from torch import nn

    pair, environment = parts.pair, parts.environment

    class Pair(nn.Module):
        """Picture and caption: V, Q^e and the attention between them."""

        def __init__(self) -> None:
            super().__init__()
            if pair != "textual":
                self.image = nn.Sequential(nn.Linear(widths["image"], STATE), nn.ReLU(), nn.Linear(STATE, STATE))
            if pair != "visual":
                self.embedding = nn.Embedding(words, STATE, padding_idx=NO_WORD)
                self.lstm = nn.LSTM(STATE, STATE, batch_first=True)
            if pair == "explicit":
                self.affinity = nn.Linear(widths["image"], STATE)  # W_a
                self.of_words = nn.Linear(STATE, ATTENTION)  # W_q
                self.of_image = nn.Linear(widths["image"], ATTENTION)  # W_v
                self.weight = nn.Linear(ATTENTION, 1, bias=False)  # w_h

        def states(self, numbers: torch.Tensor) -> torch.Tensor:
            """(n, T, d2): Q^e, transposed."""
            longest = int((numbers != NO_WORD).sum(dim=1).max())
            states: torch.Tensor = self.lstm(self.embedding(numbers[:, :longest]))[0]
            return states

        def last(self, numbers: torch.Tensor) -> torch.Tensor:
            """(n, d2): the state after the last word."""
            at = (numbers != NO_WORD).sum(dim=1) - 1
            return self.states(numbers)[torch.arange(len(numbers), device=numbers.device), at]

        def attention(self, image: torch.Tensor, numbers: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
            """(n, T): a^q of (2)."""
            affinity = torch.tanh(states @ self.affinity(image).unsqueeze(2))  # (1): (n, T, 1)
            hidden = torch.tanh(self.of_words(states) + affinity * self.of_image(image).unsqueeze(1))
            logits = self.weight(hidden).squeeze(2)
            return torch.softmax(logits.masked_fill(numbers[:, : states.shape[1]] == NO_WORD, -torch.inf), dim=1)

        def attended(self, inputs: Tensors) -> torch.Tensor:
            """(n, d2): V^ + Q^ of (3) and (6)."""
            states = self.states(inputs["words"])
            weights = self.attention(inputs["image"], inputs["words"], states)
            summed: torch.Tensor = self.image(inputs["image"]) + (weights.unsqueeze(2) * states).sum(dim=1)
            return summed

    class Environment(nn.Module):
        """e_w: the mean picture I_e and the mean caption T_e of the past."""

        def __init__(self) -> None:
            super().__init__()
            self.image, self.caption = (nn.Linear(widths[name], STATE) for name in ("image_mean", "caption_mean"))
            if environment == "implicit":
                self.short_image, self.short_caption = (
                    nn.Linear(widths[name], STATE) for name in ("image_mean", "caption_mean")
                )
            self.last = nn.Linear(STATE if environment == "implicit" else 2 * STATE, STATE)

        def forward(self, inputs: Tensors) -> torch.Tensor:
            image, caption = inputs["image_mean"], inputs["caption_mean"]
            one, other = torch.relu(self.image(image)), torch.relu(self.caption(caption))
            if environment == "implicit":
                joined = self.short_image(image) + self.short_caption(caption) + one * other  # (4) and (5)
            else:
                joined = torch.cat([one, other], dim=1)
            vector: torch.Tensor = self.last(joined)
            return vector

    def head(width: int) -> nn.Module:
        """(6), with the logit in place of the sigmoid."""
        return nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(width, STATE), nn.ReLU(), nn.Linear(STATE, 1), nn.Flatten(0)
        )

    class Popularity(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()
            width = {"early": 2 * STATE, "ccr": 2 * STATE, "similarity": 1}.get(pair, STATE)
            if environment is not None:
                self.environment = Environment()
                width += STATE
            if pair != "late":
                self.head = head(width)
            if pair in ("late", "ccr"):
                self.visual, self.textual = head(STATE), head(STATE)

        def branches(self, inputs: Tensors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            """Logits (n,) from both ("late": of the mean probability), from the picture and from the caption alone."""
            image, caption = self.pair.image(inputs["image"]), self.pair.last(inputs["words"])
            visual, textual = self.visual(image), self.textual(caption)
            if pair == "ccr":
                return self.head(torch.cat([image, caption], dim=1)), visual, textual
            probability = (torch.sigmoid(visual) + torch.sigmoid(textual)) / 2
            return torch.logit(probability, eps=1e-6), visual, textual

        def forward(self, inputs: Tensors) -> torch.Tensor:
            if pair in ("late", "ccr"):
                return self.branches(inputs)[0]
            joined = self._joined(inputs)
            if environment is not None:
                joined = torch.cat([joined, self.environment(inputs)], dim=1)
            logits: torch.Tensor = self.head(joined)
            return logits

        def word_weights(self, inputs: Tensors) -> torch.Tensor:
            """(n, T) attention to each word."""
            states = self.pair.states(inputs["words"])
            return self.pair.attention(inputs["image"], inputs["words"], states)

        def _joined(self, inputs: Tensors) -> torch.Tensor:
            if pair == "explicit":
                return self.pair.attended(inputs)
            seen = [] if pair == "textual" else [self.pair.image(inputs["image"])]
            seen += [] if pair == "visual" else [self.pair.last(inputs["words"])]
            if pair == "similarity":
                return nn.functional.cosine_similarity(seen[0], seen[1], dim=1).unsqueeze(1)
            return torch.cat(seen, dim=1)

    network = Popularity()
    network.consistent = pair == "ccr"  # type: ignore[assignment]
    return network


def _cross_entropy(network: torch.nn.Module, inputs: Tensors, target: torch.Tensor) -> torch.Tensor:
    """Equation (7)."""
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(network(inputs), target)


def _loss(network: torch.nn.Module, inputs: Tensors, target: torch.Tensor) -> torch.Tensor:
    """Equation (7); for CCR (You et al. 2016) with half the KL divergence of each branch from the joint one."""
    import torch

    if not network.consistent:
        return _cross_entropy(network, inputs, target)
    joint, *single = network.branches(inputs)  # type: ignore[operator]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(joint, target)
    for logits in single:
        for sign in (1, -1):
            expected = torch.sigmoid(sign * joint)
            log_ratio = torch.nn.functional.logsigmoid(sign * joint) - torch.nn.functional.logsigmoid(sign * logits)
            loss = loss + (expected * log_ratio).mean() / 2
    return loss


class Visual(DualAttention):
    """Baseline: the picture alone."""

    name = "dual_attention_visual"
    title = "Baseline of dual attention: the picture alone"
    requires = uses = frozenset({"image"})
    reads_captions = False
    parts = Parts("visual")


class Textual(DualAttention):
    """Baseline: the caption alone."""

    name = "dual_attention_textual"
    title = "Baseline of dual attention: the caption alone"
    requires = uses = frozenset[str]()
    parts = Parts("textual")


class Early(DualAttention):
    """Baseline: picture and caption side by side."""

    name = "dual_attention_early"
    title = "Baseline of dual attention: picture and caption side by side"
    requires = uses = frozenset({"image"})
    parts = Parts("early")


class Late(DualAttention):
    """Baseline: the mean of the predictions from picture and caption."""

    name = "dual_attention_late"
    title = "Baseline of dual attention: mean of the predictions from picture and caption"
    requires = uses = frozenset({"image"})
    parts = Parts("late")


class Ccr(DualAttention):
    """Baseline: cross-modality consistent regression."""

    name = "dual_attention_ccr"
    title = "Baseline of dual attention: cross-modality consistent regression (You et al. 2016)"
    requires = uses = frozenset({"image"})
    parts = Parts("ccr")


class Similarity(DualAttention):
    """Baseline: how well picture and caption fit together."""

    name = "dual_attention_similarity"
    title = "Baseline of dual attention: cosine of picture and caption"
    requires = uses = frozenset({"image"})
    parts = Parts("similarity")


class Explicit(DualAttention):
    """Ablation: explicit attention alone."""

    name = "dual_attention_explicit"
    title = "Ablation of dual attention: explicit attention alone"
    requires = uses = frozenset({"image"})
    parts = Parts("explicit")


class Env(DualAttention):
    """Ablation: the environment beside early fusion."""

    name = "dual_attention_env"
    title = "Ablation of dual attention: environment without either attention"
    parts = Parts("early", "direct")


class EnvImplicit(DualAttention):
    """Ablation: implicit attention beside early fusion."""

    name = "dual_attention_env_implicit"
    title = "Ablation of dual attention: environment with implicit attention"
    parts = Parts("early", "implicit")


class ExplicitEnv(DualAttention):
    """Ablation: explicit attention, and the environment without attention."""

    name = "dual_attention_explicit_env"
    title = "Ablation of dual attention: explicit attention, environment without attention"
    parts = Parts("explicit", "direct")

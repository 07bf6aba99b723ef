"""`sentiment_context`: linear support-vector regression on visual sentiment, objects, words, names and author.

Origin: Gelli, Uricchio, Bertini, Del Bimbo and Chang 2015, "Image popularity prediction in social media using sentiment
and context features", known here through section 2.5 of the RedPop thesis. Adjective-noun pairs, object classes and
deep features of the picture, types of tags, named entities and the mean of the user go side by side into the
L2-regularised, L2-loss, linear SVR of LIBLINEAR.

Model, with the labels less their train mean and a constant 1 among the columns, which LIBLINEAR penalises too
(Ho and Lin 2012, eq. 2 and 4):

    minimise  |w|^2 / 2 + C sum_i max(0, |y_i - w'x_i| - 0.1)^2,    0.1 being the default of LIBLINEAR.

There are more columns than posts, so it is solved exactly over the posts: outside the tube
w = sum_i a_i x_i with a_i = 2 C (r_i - 0.1 sign r_i), a linear system for each guess of who is outside.

Where Reddit is not Flickr (choices):

- SentANP: the probabilities that CLIP gives adjective-noun pairs and other concepts (`concepts`); without a CLIP that
  part is left out, and the report says so. FeatANP and fc7: the vector of the image network. Objects: families of
  ImageNet classes. NER7: the seven counts of `entities`;
- TagType and TagDomain: Freebase is gone, and titles have few tags; which of the `MOST_TYPES` commonest tokens of the
  train titles, stop words apart, a title has. `flags` has the flair;
- user mean: the paper averages all images of the user, the predicted one among them. Here it is the mean over earlier
  posts whose scores had matured, shrunk to the community, with the flag that says that there are none;
- all columns are brought to deviation 1 on the train part; C is the one with the least squared error on later posts,
  in `FOLDS` steps forward in time inside the train part; the labels need no division by time, as they have one age.

A post that lacks a block (a missing picture) counts as the mean of the train part there. Memory: it learns from the
newest `MOST_ROWS` posts and keeps two matrices of posts by posts, 260 MB at most, beside two copies of the columns; C
is chosen on the newest `MOST_ROWS_TUNING`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import BLOCK_NAMES, Block, Dataset, Floats

TUBE = 0.1
GRID = tuple(4.0**power for power in range(-10, -2))
"""Values of C, weakest first."""
FOLDS = 4
MOST_ROWS = 4000
MOST_ROWS_TUNING = 2000
MOST_TYPES = 100
LEAST_TYPE_POSTS = 5
MOST_STEPS = 50
JACKKNIFE_GROUPS = 10
PREDICTED_AT_ONCE = 2000
AUTHOR_COLUMNS = ("past_mean_log_score", "is_cold_start")
TENSORS, DETAILS = "svr.safetensors", "svr.json"


@dataclass(frozen=True)
class Coefficient:
    """What one input does to the expected log score.

    Args:
        block: where it comes from; "types" for tokens of titles.
        column: its column, or the token.
        value: change of the expected log score per deviation of the column.
        standard_error: of that, by a jackknife over stretches of time.
    """

    block: str
    column: str
    value: float
    standard_error: float


class SentimentContext(Predictor):
    """Linear SVR whose signed coefficients tell which sentiments, objects and words go with popular posts."""

    name = "sentiment_context"
    title = (
        "Sentiment and context: linear SVR on visual sentiment, objects, words, names and author (Gelli et al. 2015)"
    )
    requires = frozenset({"image"})
    uses = frozenset({"image", "concepts", "objects", "entities", "author", "flags"})
    reads_captions = True
    code_version = "1"
    library = "scikitlearn"

    types: tuple[str, ...]
    """Tokens of titles that are inputs, the commonest first."""
    mean: Floats
    """(d,) of the columns, blocks in the order of `BLOCK_NAMES`, then types."""
    deviation: Floats
    weights: Doubles
    """(d,) coefficients of the standardised columns."""
    standard_errors: Doubles
    intercept: float
    cost: float
    """The chosen C."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if "author" in self.columns:
            chosen = tuple(column for column in AUTHOR_COLUMNS if column in self.columns["author"])
            self.columns = {name: chosen if name == "author" else kept for name, kept in self.columns.items()}
            self.columns = {name: kept for name, kept in self.columns.items() if kept}
        train, validation = train.newest(MOST_ROWS).pick(self.columns), validation.pick(self.columns)
        self.types = common_tokens(caption_tokens(train.captions).tokens)
        columns = self._side_by_side(train)
        self.mean, self.deviation = columns.moments()
        inputs = columns.standardised(self.mean, self.deviation).astype(np.float64)
        # Matrices are small: more threads only wait for each other when several partitions train at once.
        with threadpool_limits(limits=1, user_api="blas"):
            self._solve(inputs, train.labels.astype(np.float64))
            return Training(self._predict(validation))

    def _solve(self, inputs: Doubles, labels: Doubles) -> None:
        centre = float(labels.mean())
        kernel = inputs @ inputs.T + 1.0  # the constant column
        newest = slice(-MOST_ROWS_TUNING, None)
        self.cost = choose_cost(kernel[newest, newest], labels[newest] - centre)
        dual = support_vectors(kernel, labels - centre, self.cost)
        self.weights, self.intercept = inputs.T @ dual, centre + float(dual.sum())
        self.standard_errors = jackknife_errors(inputs, kernel, dual, self.cost)
        outside = int((dual != 0).sum())
        self._say(f"{self.name}: C {self.cost:g}; {outside} of {len(labels)} posts lie outside the tube")

    def _predict(self, data: Dataset) -> Doubles:
        parts = [
            self.intercept + self._inputs(data.take(rows)) @ self.weights
            for rows in np.array_split(np.arange(len(data)), -(-len(data) // PREDICTED_AT_ONCE))
        ]
        return np.concatenate(parts)

    def coefficients(self) -> list[Coefficient]:
        """All coefficients, those that raise the expected score most first; fitted on standardised columns."""
        names = [(block, column) for block in self._blocks() for column in self.columns[block]]
        names += [("types", token) for token in self.types]
        found = [
            Coefficient(block, column, float(value), float(error))
            for (block, column), value, error in zip(names, self.weights, self.standard_errors, strict=True)
        ]
        return sorted(found, key=lambda each: -each.value)

    def parts(self, data: Dataset) -> dict[str, Doubles]:
        """What each block adds to the expected log score of the average post: block -> (n,).

        Their sum is the prediction less the intercept. A block alone, or all others without it, needs a fit of its own.

        Raises:
            ArtifactError: the data lack something, as in `predict`.
        """
        self._check_columns(data)
        added = self._inputs(data.pick(self.columns)) * self.weights
        ends = np.cumsum([*(len(self.columns[block]) for block in self._blocks()), len(self.types)])
        pieces = np.split(added, ends[:-1], axis=1)
        return {block: piece.sum(axis=1) for block, piece in zip([*self._blocks(), "types"], pieces, strict=True)}

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        arrays = {"mean": self.mean, "deviation": self.deviation}
        save_file(arrays | {"weights": self.weights, "standard_errors": self.standard_errors}, folder / TENSORS)
        details = {"types": self.types, "intercept": self.intercept, "cost": self.cost}
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        return [TENSORS, DETAILS]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / TENSORS)
        self.mean, self.deviation = arrays["mean"], arrays["deviation"]
        self.weights, self.standard_errors = arrays["weights"], arrays["standard_errors"]
        details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
        self.types, self.intercept, self.cost = tuple(details["types"]), details["intercept"], details["cost"]

    def _blocks(self) -> list[str]:
        return [name for name in BLOCK_NAMES if name in self.columns]

    def _side_by_side(self, data: Dataset) -> Block:
        """All columns as one block that every post has; NaN where unknown."""
        values = [data.blocks[name].values for name in self._blocks()]
        names = [f"{name}.{column}" for name in self._blocks() for column in self.columns[name]]
        return Block(
            np.hstack([*values, token_indicators(data.captions, self.types)]),
            (*names, *(f"types.{token}" for token in self.types)),
            np.ones(len(data), dtype=np.bool_),
        )

    def _inputs(self, data: Dataset) -> Doubles:
        return self._side_by_side(data).standardised(self.mean, self.deviation).astype(np.float64)


def common_tokens(captions: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The tokens, English stop words apart, that most of the n captions have: at most `MOST_TYPES`, commonest first."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    posts = Counter(token for tokens in captions for token in set(tokens))
    ranked = sorted(
        (-count, token)
        for token, count in posts.items()
        if count >= LEAST_TYPE_POSTS and len(token) > 1 and token not in ENGLISH_STOP_WORDS
    )
    return tuple(token for _, token in ranked[:MOST_TYPES])


def token_indicators(captions: Sequence[str], types: Sequence[str]) -> Floats:
    """(n, k) float32: 1 where a caption has the token, else 0."""
    place = {token: index for index, token in enumerate(types)}
    indicators = np.zeros((len(captions), len(types)), dtype=np.float32)
    for row, tokens in enumerate(caption_tokens(captions).tokens):
        indicators[row, [place[token] for token in tokens if token in place]] = 1
    return indicators


def support_vectors(kernel: Doubles, target: Doubles, cost: float, start: Doubles | None = None) -> Doubles:
    """Minimise the L2-regularised L2-loss of an SVR over the posts.

    Newton's method on a sum of quadratic pieces: it ends after a few steps, in the exact minimum.

    Args:
        kernel: (n, n) inner products of the inputs.
        target: (n,) values to predict.
        cost: C, greater than 0.
        start: (n,) coefficients to start from, for a neighbouring C; None for zeros.

    Returns:
        (n,) coefficients a of the posts, 0 inside the tube: the weights are sum_i a_i x_i.
    """
    from scipy.linalg import cho_factor, cho_solve

    dual = np.zeros(len(target)) if start is None else start
    fitted = kernel @ dual
    for _ in range(MOST_STEPS):
        residual = target - fitted
        outside = np.flatnonzero(np.abs(residual) > TUBE)
        ridged = kernel[np.ix_(outside, outside)]
        ridged[np.diag_indices_from(ridged)] += 0.5 / cost
        wanted = np.zeros_like(dual)
        wanted[outside] = cho_solve(
            cho_factor(ridged, lower=True, overwrite_a=True), target[outside] - TUBE * np.sign(residual[outside])
        )
        step, fitted_step = wanted - dual, kernel @ wanted - fitted
        if np.abs(fitted_step).max(initial=0.0) < 1e-9:
            break
        # A whole step goes to the minimum of the present piece, which may lie beyond its edge.
        length, now = 1.0, _objective(dual, fitted, target, cost)
        while length > 1e-6 and _objective(dual + length * step, fitted + length * fitted_step, target, cost) > now:
            length /= 2
        dual, fitted = dual + length * step, fitted + length * fitted_step
    return dual


def _objective(dual: Doubles, fitted: Doubles, target: Doubles, cost: float) -> float:
    excess = np.maximum(np.abs(target - fitted) - TUBE, 0)
    return float(dual @ fitted / 2 + cost * (excess @ excess))


def choose_cost(kernel: Doubles, target: Doubles) -> float:
    """The C of `GRID` with the least squared error one step ahead in time.

    The posts are cut into `FOLDS` + 1 stretches; each but the first is predicted from all before it.

    Args:
        kernel: (n, n) inner products, posts in the order of time.
        target: (n,) values to predict.
    """
    cuts = np.linspace(0, len(target), FOLDS + 2).astype(int)
    errors = np.zeros(len(GRID))
    for begin, end in pairwise(cuts[1:]):
        dual: Doubles | None = None
        for place, cost in enumerate(GRID):
            dual = support_vectors(kernel[:begin, :begin], target[:begin], cost, dual)
            errors[place] += ((kernel[begin:end, :begin] @ dual - target[begin:end]) ** 2).sum()
    return GRID[int(errors.argmin())]


def jackknife_errors(inputs: Doubles, kernel: Doubles, dual: Doubles, cost: float) -> Doubles:
    """(d,) standard errors of the weights, from `JACKKNIFE_GROUPS` fits that each lack a stretch of time.

    The posts outside the tube are taken to stay the same, so that one inverse does for all (Efron and Tibshirani 1993,
    chapter 11, for the delete-a-group jackknife).

    Args:
        inputs: (n, d), posts in the order of time.
        kernel, dual, cost: as in `support_vectors`, its result included.
    """
    outside = np.flatnonzero(dual)
    inverse = np.linalg.inv(kernel[np.ix_(outside, outside)] + np.eye(len(outside)) * 0.5 / cost)
    groups = np.array_split(np.arange(len(outside)), JACKKNIFE_GROUPS)
    weights = np.empty((JACKKNIFE_GROUPS, inputs.shape[1]))
    for place, group in enumerate(groups):
        without = dual[outside].copy()
        without -= inverse[:, group] @ np.linalg.solve(inverse[np.ix_(group, group)], without[group])
        weights[place] = inputs[outside].T @ without
    spread = ((weights - weights.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt(spread * (JACKKNIFE_GROUPS - 1) / JACKKNIFE_GROUPS))

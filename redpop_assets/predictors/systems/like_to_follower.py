"""`like_to_follower`: the score as a share of the audience, from the picture by a frozen network with a new last layer.

Origin: Qian et al. 2017 predict likes / followers of Instagram landscapes by Inception-v3 with its last layer
retrained. Neither loss nor treatment of outliers is in the text at hand. On Reddit (choices):

- the target is ln(1 + score) - ln(1 + audience); a score below 0 counts as 0. The audience is the subscribers of the
  community when the post was made, if they are known for `LEAST_KNOWN` of the train posts, else its trailing median
  score of the 30 days before (both from the community block). An author's karma is no audience: it is read late;
- a ratio explodes for a tiny audience: its logarithm is at least `FLOORS`, and the target is winsorised at the 1 % and
  99 % quantiles of the train part. A post whose audience is not known has the train median;
- the backbone is frozen and its last layer is linear on the standardised vector. `like_to_follower` minimises the
  squared error of the log ratio (`BlockRidge`); `like_to_follower_buckets` sorts the ratio into `BUCKETS` buckets with
  equally many train posts, minimises the cross-entropy with an L2 penalty, and expects the mean of the buckets' mean
  log ratios, weighted by their probabilities. Penalties are chosen on the validation part;
- back to the log score: the expected log ratio plus the log audience, which turns the target round exactly.

The audience is in the target and in the way back, so that it alone can bring correlation: the notes tell what picture
and audience are worth apart. Comment counts, an input of the paper's social model, are known only afterwards and are
not used; its social features are those of `metadata_boosting`. A post without a picture gets the ratio of the mean
picture. Memory: at most `MOST_ROWS` posts (the newest) are learnt from.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from pathlib import Path
from typing import Any

from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats
from redpop_assets.predictors.parts.block_ridge import MOST_ROWS, BlockRidge

FLOORS = {"log_subscribers": math.log1p(100), "month_median_log_score": math.log1p(1)}
"""Audience -> least logarithm of it: 100 subscribers, or a median of 1 point."""
LEAST_KNOWN = 0.9
WINSORISED = (0.01, 0.99)
BUCKETS = 5
PENALTIES = tuple(10.0 ** (1 - step) for step in range(5))
"""Of the squared weights, against the mean cross-entropy of a post; strongest first."""
HEAD, AUDIENCE = "head.safetensors", "audience.json"


class _LogRatio(Predictor):
    """What both heads share: the audience, the target and the way back."""

    requires = frozenset({"image", "community"})
    uses = frozenset({"image", "community"})
    code_version = "1"

    audience: str
    """Column of the community block; "" where none of them varies: then a ratio is but a score."""
    typical: float
    """Log audience of a post for which it is not known."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.newest(MOST_ROWS)
        self._choose_audience(train)
        target = log_ratios(train.labels.astype(np.float64), self._log_audience(train))
        low, high = np.quantile(target, WINSORISED)
        held_out = log_ratios(validation.labels.astype(np.float64), self._log_audience(validation))
        self._fit_head(
            train.blocks["image"], np.clip(target, low, high), validation.blocks["image"], np.clip(held_out, low, high)
        )
        expected = self._ratio(validation.blocks["image"])
        apart = {
            "picture and ratio": spearman(held_out, expected),
            "picture and score": spearman(validation.labels, expected),
            "audience and score": spearman(validation.labels, self._log_audience(validation)),
        }
        shown = ", ".join(f"{name} {'undefined' if found is None else f'{found:.2f}'}" for name, found in apart.items())
        note = f"audience: {self.audience or 'the same for all posts'}; validation Spearman of {shown}"
        self._say(f"{self.name}: {note}")
        return Training(self._predict(validation), notes=(note,))

    def _choose_audience(self, train: Dataset) -> None:
        columns = self.columns.get("community", ())
        self.audience, self.typical = "", 0.0
        for column in FLOORS:
            # 0 is how the block says that a number is not known.
            values = train.blocks["community"].pick((column,)).values[:, 0] if column in columns else np.zeros(1)
            known = values[np.nan_to_num(values) != 0]
            if len(known) >= LEAST_KNOWN * len(train) or (column == "month_median_log_score" and len(known)):
                self.audience = column
                self.typical = max(float(np.median(known)), FLOORS[column])
                break
        # The other columns are no inputs.
        kept = {"community": (self.audience,)} if self.audience else {}
        self.columns = {"image": self.columns["image"], **kept}

    def _log_audience(self, data: Dataset) -> Doubles:
        """(n,) natural logarithms."""
        if not self.audience:
            return np.full(len(data), self.typical)
        values = data.blocks["community"].pick((self.audience,)).values[:, 0].astype(np.float64)
        known = np.nan_to_num(values) != 0
        return np.where(known, np.maximum(values, FLOORS[self.audience]), self.typical)

    def _predict(self, data: Dataset) -> Doubles:
        return self._ratio(data.blocks["image"]) + self._log_audience(data)

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file(self._head_tensors(), folder / HEAD)
        content = {"audience": self.audience, "typical_log_audience": self.typical}
        (folder / AUDIENCE).write_text(json.dumps(content) + "\n", encoding="utf-8")
        return [HEAD, AUDIENCE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        content = json.loads((folder / AUDIENCE).read_text(encoding="utf-8"))
        self.audience, self.typical = content["audience"], content["typical_log_audience"]
        self._load_head(load_file(folder / HEAD))

    @abstractmethod
    def _fit_head(self, image: Block, target: Doubles, held_out: Block, held_out_target: Doubles) -> None:
        """Learn (n,) log ratios; choose the penalty by (m,) held-out ones."""

    @abstractmethod
    def _ratio(self, image: Block) -> Doubles:
        """(n,) expected log ratios."""

    @abstractmethod
    def _head_tensors(self) -> dict[str, npt.NDArray[Any]]:
        """What `_load_head` reads."""

    @abstractmethod
    def _load_head(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """The inverse of `_head_tensors`."""


class LikeToFollower(_LogRatio):
    """Regression head; a post without a picture gets the ratio of the mean picture."""

    name = "like_to_follower"
    title = "Like-to-follower ratio: score per audience from the picture, by regression"

    ridge: BlockRidge

    def _fit_head(self, image: Block, target: Doubles, held_out: Block, held_out_target: Doubles) -> None:
        self.ridge = BlockRidge.fit(image, target, held_out, held_out_target)

    def _ratio(self, image: Block) -> Doubles:
        return self.ridge.predict(image)

    def _head_tensors(self) -> dict[str, npt.NDArray[Any]]:
        return self.ridge.tensors()

    def _load_head(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        self.ridge = BlockRidge.from_tensors(tensors)


class LikeToFollowerBuckets(_LogRatio):
    """Classification head; a post without a picture gets the ratio of the mean picture."""

    name = "like_to_follower_buckets"
    title = "Like-to-follower ratio: score per audience from the picture, by classification"

    mean: Floats
    deviation: Floats
    weights: Floats
    """(d + 1, k): of the standardised vector, and last the biases of the k buckets."""
    levels: Doubles
    """(k,) mean log ratio of the train posts in each bucket."""

    def _fit_head(self, image: Block, target: Doubles, held_out: Block, held_out_target: Doubles) -> None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        edges = np.unique(np.quantile(target, np.arange(1, BUCKETS) / BUCKETS))
        # Many equal scores make edges meet: a bucket that no post falls into is no bucket.
        filled, bucket = np.unique(np.searchsorted(edges, target, side="right"), return_inverse=True)
        self.levels = np.array([target[bucket == k].mean() for k in range(len(filled))])
        self.mean, self.deviation = image.moments()
        inputs, least = with_bias(image.standardised(self.mean, self.deviation)), np.inf
        weights = np.zeros((inputs.shape[1], len(filled)))
        # One thread: the order of additions, and so the last bits, must not depend on the number of cores.
        with threadpool_limits(limits=1, user_api="blas"):
            for penalty in PENALTIES:
                weights = softmax_head(inputs, bucket, penalty, weights)
                held = probabilities(with_bias(held_out.standardised(self.mean, self.deviation)) @ weights)
                error = float(((held @ self.levels - held_out_target) ** 2).mean())
                if error < least:
                    least, self.weights = error, weights.astype(np.float32)

    def _ratio(self, image: Block) -> Doubles:
        inputs = with_bias(image.standardised(self.mean, self.deviation))
        return np.asarray(probabilities(inputs @ self.weights.astype(np.float64)) @ self.levels)

    def _head_tensors(self) -> dict[str, npt.NDArray[Any]]:
        return {"mean": self.mean, "deviation": self.deviation, "weights": self.weights, "levels": self.levels}

    def _load_head(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        self.mean, self.deviation = tensors["mean"], tensors["deviation"]
        self.weights, self.levels = tensors["weights"], tensors["levels"]


def log_ratios(log_score: Doubles, log_audience: Doubles) -> Doubles:
    """ln((1 + score) / (1 + audience)) of (n,) log scores and log audiences; a score below 0 counts as 0."""
    return np.maximum(log_score, 0.0) - log_audience


def with_bias(inputs: Floats) -> Doubles:
    """(n, d + 1): the inputs and a column of ones."""
    return np.column_stack([inputs.astype(np.float64), np.ones(len(inputs))])


def probabilities(scores: Doubles) -> Doubles:
    """Softmax of each row, (n, k)."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def softmax_head(inputs: Doubles, classes: npt.NDArray[np.int64], penalty: float, start: Doubles) -> Doubles:
    """Weights (d + 1, k): the minimum of the mean cross-entropy + penalty |w|^2, the biases free (convex).

    Args:
        inputs: (n, d + 1) of `with_bias`.
        classes: (n,) from 0 to k - 1.
        start: (d + 1, k) where to begin.
    """
    from scipy.optimize import minimize

    rows = np.arange(len(inputs))

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        weights = flat.reshape(start.shape)
        found = probabilities(inputs @ weights)
        value = -float(np.log(np.maximum(found[rows, classes], 1e-300)).mean())
        found[rows, classes] -= 1
        slope = inputs.T @ found / len(inputs)
        slope[:-1] += 2 * penalty * weights[:-1]
        return value + penalty * float((weights[:-1] ** 2).sum()), slope.ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return np.asarray(found.x).reshape(start.shape)

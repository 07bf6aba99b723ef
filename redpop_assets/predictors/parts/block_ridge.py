"""Ridge regression on one standardised block: what "retrain the last layer" of a frozen network comes to.

Choices: the penalty is the one of a grid with the least squared error on the validation part, which is later in time;
an unknown value, and every value of a post that lacks the block, is the train mean. All penalties share one
eigendecomposition, of the columns or of the posts, whichever are fewer. Memory: at most `MOST_ROWS` posts (the newest)
are learnt from, so that no matrix is larger than `MOST_ROWS` by the width of the block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.dataset import Block, Floats

Doubles: TypeAlias = "npt.NDArray[np.float64]"

PENALTIES = tuple(10.0 ** (4 - step / 2) for step in range(11))
"""Per post and standardised column, strongest first."""
MOST_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class BlockRidge:
    """Minimises mean (y - b - x w)^2 + penalty |w|^2, x standardised.

    Args:
        mean, deviation: (d,) float32, moments of the train part.
        weights: (d,) float32 per deviation.
        intercept: prediction for a post that lacks the block.
        penalty: the chosen one.
    """

    mean: Floats
    deviation: Floats
    weights: Floats
    intercept: float
    penalty: float

    @classmethod
    def fit(cls, train: Block, target: Doubles, validation: Block, validation_target: Doubles) -> Self:
        """Learn from at most `MOST_ROWS` posts.

        Args:
            train, validation: blocks of n and m posts with equal columns.
            target, validation_target: (n,) and (m,) values to predict.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        mean, deviation = train.moments()
        inputs = train.standardised(mean, deviation).astype(np.float64)
        centre = inputs.mean(axis=0)
        inputs -= centre
        # One thread: the order of additions, and so the last bits, must not depend on the number of cores.
        with threadpool_limits(limits=1, user_api="blas"):
            weights = ridge_path(inputs, target - target.mean(), PENALTIES).astype(np.float32)
            intercepts = target.mean() - centre @ weights.astype(np.float64)
            held_out = validation.standardised(mean, deviation).astype(np.float64)
            predicted = held_out @ weights.astype(np.float64) + intercepts
        best = int(((predicted - validation_target[:, None]) ** 2).mean(axis=0).argmin())
        chosen = np.ascontiguousarray(weights[:, best])
        return cls(mean, deviation, chosen, float(intercepts[best]), PENALTIES[best])

    def predict(self, block: Block) -> Doubles:
        """(n,) predictions."""
        inputs = block.standardised(self.mean, self.deviation).astype(np.float64)
        return np.asarray(inputs @ self.weights.astype(np.float64) + self.intercept)

    def tensors(self, prefix: str = "") -> dict[str, npt.NDArray[Any]]:
        """What `from_tensors` reads, each name with the prefix in front."""
        return {
            f"{prefix}mean": self.mean,
            f"{prefix}deviation": self.deviation,
            f"{prefix}weights": self.weights,
            f"{prefix}intercept_and_penalty": np.array([self.intercept, self.penalty]),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], prefix: str = "") -> Self:
        """The inverse of `tensors`."""
        intercept, penalty = tensors[f"{prefix}intercept_and_penalty"].tolist()
        mean, deviation, weights = (tensors[f"{prefix}{name}"] for name in ("mean", "deviation", "weights"))
        return cls(mean, deviation, weights, intercept, penalty)


def ridge_path(inputs: Doubles, target: Doubles, penalties: tuple[float, ...]) -> Doubles:
    """Weights (d, p) for p penalties.

    Args:
        inputs: (n, d) with column means 0.
        target: (n,) with mean 0.
        penalties: p positive numbers, in units of `inputs` squared, per post.
    """
    n, d = inputs.shape
    shrink = np.array(penalties)
    if d <= n:
        values, vectors = np.linalg.eigh(inputs.T @ inputs / n)
        turned = vectors.T @ (inputs.T @ target / n)
        return np.asarray(vectors @ (turned[:, None] / (np.maximum(values, 0)[:, None] + shrink)))
    values, vectors = np.linalg.eigh(inputs @ inputs.T / n)
    turned = vectors.T @ target / n
    return np.asarray(inputs.T @ (vectors @ (turned[:, None] / (np.maximum(values, 0)[:, None] + shrink))))

"""What each input of a predictor added to a prediction: the form in which boosted models explain themselves.

For trees these are Shapley values (Lundberg and Lee 2017, "A unified approach to interpreting model predictions", eq.
8, which TreeSHAP of Lundberg et al. 2020 computes exactly). Whatever the model: they sum to its prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.dataset import Dataset

Doubles: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True, eq=False)
class Contributions:
    """Of n predictions, from d inputs.

    Args:
        base: expected log score of a post of which nothing is known.
        inputs: the d inputs as (block, name).
        added: (n, d) log score; with `base` each row sums to the prediction.
        values: (n, d) values of the inputs, NaN where unknown.

    Raises:
        ValueError: shapes do not fit together, or an input occurs twice.
    """

    base: float
    inputs: tuple[tuple[str, str], ...]
    added: Doubles
    values: Doubles

    def __post_init__(self) -> None:
        if self.added.shape != self.values.shape or self.added.shape[1:] != (len(self.inputs),):
            raise ValueError(f"{len(self.inputs)} inputs, but {self.added.shape} and {self.values.shape} numbers")
        if len(set(self.inputs)) != len(self.inputs):
            raise ValueError("an input occurs twice")


@runtime_checkable
class Explained(Protocol):
    """A predictor that can say what each input added."""

    def contributions(self, data: Dataset) -> Contributions:
        """Take the predictions for some posts apart; errors as of `predict`."""

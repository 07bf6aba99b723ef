"""Ridge regression that chooses its own penalty and predicts its own training posts out of fold.

For predictors that join the opinion of a wide block (a vector, words) as one number: a tree that sees an in-sample
prediction trusts it far too much, so the training posts get the prediction of the other stretches of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.parts.block_ridge import ridge_path

Doubles: TypeAlias = "npt.NDArray[np.float64]"

PENALTIES = tuple(10.0 ** (step / 2 - 3) for step in range(11))
"""Candidates, in units of n times the variance of a standardised column."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Ridge:
    """A linear function of d inputs.

    Args:
        centre: (d,) means of the inputs.
        coefficients: (d,) log score per unit of an input.
        intercept: mean log score.
        penalty: that which was chosen, one of `PENALTIES`.
    """

    centre: Doubles
    coefficients: Doubles
    intercept: float
    penalty: float

    @classmethod
    def fit(cls, inputs: Doubles, labels: Doubles) -> tuple[Ridge, Doubles]:
        """Learn with the penalty of the least squared error on posts of other folds.

        Args:
            inputs: (n, d) finite, on one scale, posts in the order of time.
            labels: (n,) log scores.

        Returns:
            The function learnt from all posts, and the (n,) predictions of each post by the posts outside of its fold.
            Folds are stretches of time. The penalty alone, one number, has seen all labels.
        """
        everyone = np.arange(len(labels))
        out_of_fold = np.empty((len(PENALTIES), len(labels)))
        for held_out in np.array_split(everyone, FOLDS):
            learnt = np.setdiff1d(everyone, held_out)
            centre, mean, path = _path(inputs[learnt], labels[learnt])
            out_of_fold[:, held_out] = mean + path @ (inputs[held_out] - centre).T
        best = int(((out_of_fold - labels) ** 2).mean(axis=1).argmin())
        centre, mean, path = _path(inputs, labels)
        return cls(centre, path[best], mean, PENALTIES[best]), out_of_fold[best]

    def predict(self, inputs: Doubles) -> Doubles:
        """(n,) log scores of (n, d) inputs."""
        return np.asarray(self.intercept + (inputs - self.centre) @ self.coefficients)


def _path(inputs: Doubles, labels: Doubles) -> tuple[Doubles, float, Doubles]:
    """Centre (d,), mean label, and the coefficients (penalties, d) for every penalty, from one decomposition."""
    centre, mean = inputs.mean(axis=0), float(labels.mean())
    unit = float((inputs - centre).var(axis=0).mean()) if inputs.shape[1] else 0.0
    penalties = tuple(penalty * max(unit, 1e-12) for penalty in PENALTIES)
    return centre, mean, ridge_path(inputs - centre, labels - mean, penalties).T

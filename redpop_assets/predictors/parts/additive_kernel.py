"""Kernel ridge regression whose kernel is a sum over blocks: the first stage of `fusion_lightgbm`.

Origin: Gaussian process regression with an additive kernel (Rasmussen and Williams 2006: prediction eq. 2.25, evidence
eq. 5.8, its gradient eq. 5.9). With some hundred posts and more than a thousand embedding columns, a sum of one smooth
function per block, all fitted at once, uses the labels far better than trees do; trees then look at what it leaves.

Choices:

- a block is standardised, then turned to at most `MOST_COMPONENTS` principal components, scaled to a mean squared
  length of 1; tabular blocks are whitened, so that two copies of one signal do not count twice;
- each block has a linear and a Gaussian kernel; their weights and the noise maximise the evidence, which switches
  useless blocks off without a validation part;
- a post that lacks a block gets 0 from it: the prior mean, neither good nor bad;
- the weights are tuned on at most `MOST_ROWS_TUNING` evenly spaced posts, and projections and centres come from the
  newest `MOST_ROWS` posts, because the cost grows with the cube of their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.dataset import Block, Floats

Doubles: TypeAlias = "npt.NDArray[np.float64]"

MOST_COMPONENTS = 64
LEAST_SINGULAR = 1e-2  # of the largest: whitening would blow up what is smaller
MOST_ROWS_TUNING = 800
MOST_ROWS = 4000
SQUARED_LENGTH_SCALE = 0.5
AT_ONCE = 2000

_PARTS = ("mean", "deviation", "components")


@dataclass(frozen=True, eq=False)
class Projection:
    """Standardise, then project: fitted on the train part only.

    Args:
        mean, deviation: (d,) float32 of the known values.
        components: (d, k) float32, scale included.
    """

    mean: Floats
    deviation: Floats
    components: Floats

    @classmethod
    def fit(cls, block: Block, whiten: bool) -> Projection:
        """From the present rows of a block of which at least one is present."""
        mean, deviation = block.moments()
        newest = block.take(np.flatnonzero(block.present)[-MOST_ROWS:])
        standardised = newest.standardised(mean, deviation).astype(np.float64)
        _, singular, directions = np.linalg.svd(standardised, full_matrices=False)
        kept = min(MOST_COMPONENTS, int((singular > LEAST_SINGULAR * max(singular[0], 1e-6)).sum()))
        # A block that never varies keeps no component and so says nothing.
        components = directions[:kept].T / (singular[:kept] if whiten else 1.0)
        # The sign of a singular vector is arbitrary; fix it, so that equal data give equal files everywhere.
        signs = np.sign(components[np.abs(components).argmax(axis=0), np.arange(kept)]) if kept else np.ones(0)
        length = np.sqrt(((standardised @ components) ** 2).sum(axis=1).mean()) if kept else 1.0
        return cls(mean, deviation, (components * signs / length).astype(np.float32))

    def scores(self, block: Block) -> Floats:
        """(n, k) components of each post; an unknown value is the train mean, an absent block NaN in the whole row."""
        scores = np.empty((len(block.values), self.components.shape[1]), dtype=np.float32)
        for first in range(0, len(scores), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            scores[some] = block.part(some).standardised(self.mean, self.deviation) @ self.components
        scores[~block.present] = np.nan
        return scores


def projection_arrays(projections: Mapping[str, Projection]) -> dict[str, Floats]:
    """All arrays of projections, as files name them: `mean.<block>`, `deviation.<block>`, `components.<block>`."""
    return {
        f"{part}.{name}": np.ascontiguousarray(getattr(projection, part))
        for name, projection in projections.items()
        for part in _PARTS
    }


def projections_from(arrays: Mapping[str, npt.NDArray[Any]], names: Iterable[str]) -> dict[str, Projection]:
    """The projections of these blocks, from what `projection_arrays` made of them."""
    return {name: Projection(*(arrays[f"{part}.{name}"] for part in _PARTS)) for name in names}


@dataclass(frozen=True, eq=False)
class AdditiveKernel:
    """A fitted sum of one function per block.

    Args:
        weights: block -> (weight of the linear, weight of the Gaussian kernel).
        noise: noise variance, in units of the label variance like the weights.
        mean, deviation: of the labels.
        centres: block -> (m, k) float32 component scores of the posts that were learnt from.
        dual: (m,) coefficient of each of those posts.
    """

    weights: Mapping[str, tuple[float, float]]
    noise: float
    mean: float
    deviation: float
    centres: Mapping[str, Floats]
    dual: Doubles

    @classmethod
    def fit(cls, scores: Mapping[str, Floats], labels: Doubles) -> AdditiveKernel:
        """Choose the weights by evidence, then solve.

        Args:
            scores: block -> (n, k) of `Projection.scores`, posts in the order of time.
            labels: (n,) log scores.
        """
        rows = np.unique(np.linspace(0, len(labels) - 1, MOST_ROWS_TUNING).astype(int))
        mean, deviation = float(labels.mean()), max(float(labels.std()), 1e-6)
        tuning = {name: values[rows] for name, values in scores.items()}
        weights, noise = _maximise_evidence(tuning, (labels[rows] - mean) / deviation)
        return cls(weights, noise, mean, deviation, {}, np.zeros(0)).solve(scores, labels)

    def solve(self, scores: Mapping[str, Floats], labels: Doubles) -> AdditiveKernel:
        """The same weights with other posts to learn from; arguments as in `fit`."""
        from scipy.linalg import cho_factor, cho_solve

        centres = {name: values[-MOST_ROWS:] for name, values in scores.items()}
        newest = labels[-MOST_ROWS:]
        mean, deviation = float(newest.mean()), max(float(newest.std()), 1e-6)
        total = self.noise * np.eye(len(newest))
        for name, values in centres.items():
            total += _kernel(values, values, *self.weights[name])
        dual = cho_solve(cho_factor(total, lower=True), (newest - mean) / deviation)
        return replace(self, mean=mean, deviation=deviation, centres=centres, dual=dual)

    def parts(self, scores: Mapping[str, Floats]) -> dict[str, Doubles]:
        """What each block adds to `mean`: block -> (n,) in log score."""
        return {
            name: self.deviation
            * np.concatenate(
                [
                    _kernel(values[first : first + AT_ONCE], self.centres[name], *self.weights[name]) @ self.dual
                    for first in range(0, len(values), AT_ONCE)
                ]
            )
            for name, values in scores.items()
        }

    def out_of_fold(
        self, scores: Mapping[str, Floats], labels: Doubles, folds: int
    ) -> tuple[dict[str, Doubles], Doubles]:
        """Parts and expected log score of posts that took no part in the solution they are predicted with.

        Folds are contiguous in time. The weights (two numbers per block) come from all of the posts.

        Returns:
            block -> (n,) parts, and the (n,) expected log scores.
        """
        parts = {name: np.empty(len(labels)) for name in scores}
        expected = np.empty(len(labels))
        before, model = np.zeros(0, dtype=np.intp), self
        for held_out in np.array_split(np.arange(len(labels)), folds):
            learnt = np.setdiff1d(np.arange(len(labels)), held_out)[-MOST_ROWS:]
            if not np.array_equal(learnt, before):  # of many posts, those of most folds learn from the same newest ones
                model = self.solve({name: values[learnt] for name, values in scores.items()}, labels[learnt])
                before = learnt
            found = model.parts({name: values[held_out] for name, values in scores.items()})
            for name, values in found.items():
                parts[name][held_out] = values
            expected[held_out] = model.mean + sum_of(list(found.values()))
        return parts, expected


def sum_of(parts: Sequence[Doubles]) -> Doubles:
    """Sum of (n,) arrays."""
    total: Doubles = np.stack(parts).sum(axis=0)
    return total


def _kernel(left: Floats, right: Floats, linear: float, gaussian: float) -> Floats:
    """(n, m) float32 weighted linear plus Gaussian kernel; 0 wherever one side is absent (NaN)."""
    one_absent, other_absent = np.isnan(left).any(axis=1), np.isnan(right).any(axis=1)
    left, right = np.nan_to_num(left), np.nan_to_num(right)
    dot = left @ right.T
    kernel = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    kernel -= 2 * dot
    np.maximum(kernel, 0, out=kernel)
    kernel *= np.float32(-1 / (2 * SQUARED_LENGTH_SCALE))
    np.exp(kernel, out=kernel)
    kernel *= np.float32(gaussian)
    dot *= np.float32(linear)
    kernel += dot
    kernel[one_absent] = 0
    kernel[:, other_absent] = 0
    return np.asarray(kernel)


def _maximise_evidence(scores: Mapping[str, Floats], target: Doubles) -> tuple[dict[str, tuple[float, float]], float]:
    """Kernel weights per block and noise that make the standardised (n,) target most probable."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize

    kernels = np.stack(
        [_kernel(values, values, *kind) for values in scores.values() for kind in ((1.0, 0.0), (0.0, 1.0))]
    )
    n = len(target)

    def negative_evidence(logs: Doubles) -> tuple[float, Doubles]:
        weights, noise = np.exp(logs[:-1]), np.exp(logs[-1])
        factor = cho_factor(np.tensordot(weights, kernels, 1) + noise * np.eye(n), lower=True)
        inverse = cho_solve(factor, np.eye(n))
        dual = inverse @ target
        value = 0.5 * target @ dual + np.log(np.diag(factor[0])).sum()
        slope = np.outer(dual, dual) - inverse
        gradient = -0.5 * np.append(weights * np.tensordot(kernels, slope, 2), noise * np.trace(slope))
        return float(value), gradient

    start = np.log(np.append(np.full(len(kernels), 0.5 / len(kernels)), 0.5))
    bounds = [(-12.0, 3.0)] * len(kernels) + [(-4.0, 1.0)]
    found = minimize(negative_evidence, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    weights = [float(weight) for weight in np.exp(found.x)]
    return {name: (weights[2 * i], weights[2 * i + 1]) for i, name in enumerate(scores)}, weights[-1]

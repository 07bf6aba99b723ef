"""`fusion_lightgbm`: everything that was known when the post was made, joined for few training posts.

Origin: late fusion by stacking, as published systems do with image, text, author and time features; how it is done here
is RedPop's own. Two stages:

1. `AdditiveKernel`: one smooth function per block, image and caption embeddings included, fitted together.
2. LightGBM learns what the first stage leaves over. Its inputs are the first stage's part per block, the columns of the
   tabular blocks and the leading components of the embeddings; it starts from the first stage's prediction. A few
   boosters with different seeds are averaged.

What keeps it honest:

- the trees see out-of-fold parts of the first stage (folds contiguous in time, inside the train part), never in-sample;
- scalers, principal components and kernel weights come from the train part alone;
- the number of trees is the one with the least error on held-out posts, folds of the train part and the validation part
  together, zero included: then the trees found nothing to add;
- at last the coefficients and that many trees are learnt again from train and validation together, so that the newest
  posts count. Author features look only at the past, so this leaks nothing; the reported validation metrics are from
  before.

A block without a training row is left out, and the report says so. A post that lacks a block present in training (a
missing image) gets nothing from it in the first stage, and "missing" in the trees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import BLOCK_NAMES, EMBEDDINGS, Dataset, Floats
from redpop_assets.predictors.parts.additive_kernel import (
    AdditiveKernel,
    Projection,
    projection_arrays,
    projections_from,
    sum_of,
)
from redpop_assets.predictors.parts.contributions import Contributions
from redpop_assets.predictors.parts.trees import Rows, binned, predicted

if TYPE_CHECKING:
    import lightgbm

PARAMETERS: dict[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.03,
    "num_leaves": 6,
    "min_data_in_leaf": 30,
    "lambda_l2": 20.0,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "boost_from_average": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
MOST_TREES = 300
TREES_A_STEP = 20
MEMBERS = 5
FOLDS = 8
FOLDS_FOR_TREES = 4
LEADING_COMPONENTS = 8
TENSORS, DETAILS = "kernel.safetensors", "fusion.json"


class FusionLightGBM(Predictor):
    """Additive kernel regression over all blocks, corrected by boosted trees."""

    name = "fusion_lightgbm"
    title = "Fusion of image, caption, author, community and time: additive kernels and LightGBM"
    requires = frozenset()
    uses = frozenset({"image", "caption", "text", "time", "author", "community", "flags", "pixels"})
    code_version = "3"
    library = "lightgbm"

    projections: dict[str, Projection]
    kernel: AdditiveKernel
    boosters: list[lightgbm.Booster]

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # Matrices are small: more threads only wait for each other when several partitions train at once.
        with threadpool_limits(limits=1, user_api="blas"):
            return self._fit_stages(_by_time(train), validation)

    def _fit_stages(self, train: Dataset, validation: Dataset) -> Training:
        self.projections = {
            name: Projection.fit(train.blocks[name], whiten=name not in EMBEDDINGS)
            for name in BLOCK_NAMES
            if name in self.columns
        }
        labels, held_out = train.labels.astype(np.float64), validation.labels.astype(np.float64)
        scores, held_out_scores = self._scores(train), self._scores(validation)
        self.kernel = AdditiveKernel.fit(scores, labels)
        spread = {name: float(part.std()) for name, part in self.kernel.parts(scores).items()}
        self._say(f"{self.name}: kernels by spread: {', '.join(f'{k} {v:.2f}' for k, v in spread.items())}")

        parts, base = self.kernel.out_of_fold(scores, labels, FOLDS)
        held_out_parts = self.kernel.parts(held_out_scores)
        held_out_base = self.kernel.mean + sum_of(list(held_out_parts.values()))
        inputs, residual = self._inputs(train, scores, parts), labels - base
        learning = self._binned(inputs, residual)
        held_out_inputs = self._inputs(validation, held_out_scores, held_out_parts)
        steps = _staged(self._boost(learning, MOST_TREES), held_out_inputs, len(validation))
        errors = [(held_out_base + steps - held_out) ** 2]
        for fold in np.array_split(np.arange(len(labels)), FOLDS_FOR_TREES):
            others = np.setdiff1d(np.arange(len(labels)), fold)
            found = self._boost(learning.subset(others.tolist()).construct(), MOST_TREES)
            errors.append((_staged(found, _shifted(inputs, fold[0]), len(fold)) - residual[fold]) ** 2)
        del learning
        curve = np.concatenate(errors, axis=1).mean(axis=1)
        best = int(curve.argmin())
        trees = best * TREES_A_STEP
        self._say(f"{self.name}: {trees} trees; held-out MSE {curve[0]:.4f} without, {curve[best]:.4f} with them")

        everything = {name: np.vstack([scores[name], held_out_scores[name]]) for name in scores}
        order = np.argsort(np.concatenate([train.created_at, validation.created_at]), kind="stable")
        everything = {name: values[order] for name, values in everything.items()}
        all_labels = np.concatenate([labels, held_out])[order]
        if trees:
            parts, base = self.kernel.out_of_fold(everything, all_labels, FOLDS)
            tabular = [
                np.vstack([train.blocks[name].values, validation.blocks[name].values])[order]
                for name in self._tabular_blocks()
            ]
            self.boosters = self._boost(self._binned(_joined(tabular, everything, parts), all_labels - base), trees)
        else:
            self.boosters = []
        self.kernel = self.kernel.solve(everything, all_labels)
        notes = () if trees else ("the trees found nothing to add to the kernels",)
        return Training(held_out_base + steps[best], rounds=trees, rounds_of="trees", notes=notes)

    def _predict(self, data: Dataset) -> Doubles:
        scores = self._scores(data)
        parts = self.kernel.parts(scores)
        expected = self.kernel.mean + sum_of(list(parts.values()))
        if not self.boosters:
            return expected
        inputs = self._inputs(data, scores, parts)
        return np.asarray(
            expected + np.mean([predicted(booster, inputs, len(data)) for booster in self.boosters], axis=0)
        )

    def contributions(self, data: Dataset) -> Contributions:
        """What each block adds through its kernel, and Shapley values of what the trees correct.

        A kernel's part is an input of the trees too: the input `kernel` of a block holds both.
        """
        self._check_columns(data)
        data = data.pick(self.columns)
        scores = self._scores(data)
        parts = self.kernel.parts(scores)
        inputs = self._inputs(data, scores, parts)(slice(None))
        tabular = [(name, column) for name in self._tabular_blocks() for column in self.columns[name]]
        leading = [
            (name, f"component {number}")
            for name, values in scores.items()
            if name in EMBEDDINGS
            for number in range(1, min(values.shape[1], LEADING_COMPONENTS) + 1)
        ]
        names = (*tabular, *leading, *((name, "kernel") for name in parts))
        added, base = np.zeros(inputs.shape), self.kernel.mean
        for booster in self.boosters:
            found = np.asarray(booster.predict(inputs, pred_contrib=True, num_threads=1)) / len(self.boosters)
            added += found[:, :-1]
            base += float(found[0, -1])
        added[:, -len(parts) :] += np.column_stack(list(parts.values()))
        return Contributions(base, names, added, inputs)

    def _parameters(self, member: int) -> dict[str, Any]:
        return PARAMETERS | {"seed": self.seed * MEMBERS + member}

    def _binned(self, inputs: Rows, residual: Doubles) -> lightgbm.Dataset:
        return binned(inputs, residual, self._parameters(0))

    def _boost(self, learning: lightgbm.Dataset, trees: int) -> list[lightgbm.Booster]:
        import lightgbm

        return [lightgbm.train(self._parameters(member), learning, num_boost_round=trees) for member in range(MEMBERS)]

    def _scores(self, data: Dataset) -> dict[str, Floats]:
        return {name: projection.scores(data.blocks[name]) for name, projection in self.projections.items()}

    def _tabular_blocks(self) -> list[str]:
        return [name for name in self.projections if name not in EMBEDDINGS]

    def _inputs(self, data: Dataset, scores: Mapping[str, Floats], parts: Mapping[str, Doubles]) -> Rows:
        return _joined([data.blocks[name].values for name in self._tabular_blocks()], scores, parts)

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        tensors: dict[str, npt.NDArray[Any]] = {"dual": self.kernel.dual, **projection_arrays(self.projections)}
        for name, centres in self.kernel.centres.items():
            tensors[f"centres.{name}"] = np.ascontiguousarray(centres)
        save_file(tensors, folder / TENSORS)
        boosters = [f"trees-{member}.txt" for member in range(len(self.boosters))]
        details = {
            "weights": self.kernel.weights,
            "noise": self.kernel.noise,
            "mean": self.kernel.mean,
            "deviation": self.kernel.deviation,
            "boosters": boosters,
        }
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        for file, booster in zip(boosters, self.boosters, strict=True):
            booster.save_model(folder / file)
        return [TENSORS, DETAILS, *boosters]

    def _load_files(self, folder: Path) -> None:
        import lightgbm
        from safetensors.numpy import load_file

        tensors = load_file(folder / TENSORS)
        details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
        self.projections = projections_from(tensors, [name for name in BLOCK_NAMES if name in self.columns])
        self.kernel = AdditiveKernel(
            weights={name: tuple(pair) for name, pair in details["weights"].items()},
            noise=details["noise"],
            mean=details["mean"],
            deviation=details["deviation"],
            centres={name: tensors[f"centres.{name}"] for name in self.projections},
            dual=tensors["dual"],
        )
        self.boosters = [lightgbm.Booster(model_file=folder / file) for file in details["boosters"]]


def _joined(tabular: Sequence[Floats], scores: Mapping[str, Floats], parts: Mapping[str, Doubles]) -> Rows:
    """Inputs of the trees: tabular columns, leading components of embeddings, one part per block."""
    leading = [values[:, :LEADING_COMPONENTS] for name, values in scores.items() if name in EMBEDDINGS]
    columns: list[npt.NDArray[Any]] = [*tabular, *leading, np.column_stack(list(parts.values()))]
    return lambda some: np.hstack([values[some] for values in columns])


def _shifted(inputs: Rows, first: int) -> Rows:
    """The same inputs, counted from the post `first`."""
    return lambda some: inputs(slice(first + some.start, first + some.stop))


def _staged(boosters: list[lightgbm.Booster], inputs: Rows, length: int) -> Doubles:
    """(steps + 1, n): the mean of the boosters after 0, 1, 2, ... times `TREES_A_STEP` trees, on n = `length` posts."""
    steps = np.zeros((MOST_TREES // TREES_A_STEP + 1, length))
    for booster in boosters:
        # LightGBM stops by itself where no split helps: later steps stay where it stopped.
        for step, first in enumerate(range(0, booster.num_trees(), TREES_A_STEP), start=1):
            added = predicted(booster, inputs, length, start_iteration=first, num_iteration=TREES_A_STEP)
            steps[step:] += added / len(boosters)
    return steps


def _by_time(data: Dataset) -> Dataset:
    order = np.argsort(data.created_at, kind="stable")
    return data.take(order)

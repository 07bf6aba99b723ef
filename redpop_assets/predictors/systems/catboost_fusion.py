"""`catboost_fusion`: CatBoost over everything that was known when the post was made, as SMP Challenge winners do it.

Origin: HyFea (winner of the SMP Challenge 2020) and its successors: CatBoost with RMSE on title words (TF-IDF of one
and two words, 20 singular directions), numbers about picture, time and user, and vectors of networks. What is done
otherwise, and why:

- HyFea fits TF-IDF and directions on train and test together; here everything is fitted on the train part;
- its user totals and means are over all posts; here they are the blocks of the past (author, community, seen,
  neighbours), and the identity of the author is no input: its encoding would learn from scores that were not mature;
- trees split one column at a time and make little of a vector. A wide block (image, caption, objects, concepts, title
  words) joins as its leading principal components and as one number, a ridge prediction. The trees see that
  number out of fold (stretches of time), never in-sample;
- depth 5 instead of 8, a learning rate of 0.05, three columns in ten per level: hundreds or thousands of posts, not
  hundreds of thousands; the validation part stops the trees early, and then so many are learnt again from train and
  validation together, so that the newest posts count. Reductions and ridges stay those of the train part, and the
  reported validation metrics are from before.

A post that lacks a block is "missing" to the trees in all of its columns. Memory: about n x 300 numbers; the
decompositions see at most the newest 4,000 posts.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from redpop_assets.arrays import np
from redpop_assets.errors import ArtifactError
from redpop_assets.features.tfidf import CODE_VERSION as TFIDF_VERSION
from redpop_assets.features.tfidf import TfIdf
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import BLOCK_NAMES, WIDE_BLOCKS, Dataset
from redpop_assets.predictors.parts.additive_kernel import Projection, projection_arrays, projections_from
from redpop_assets.predictors.parts.contributions import Contributions
from redpop_assets.predictors.parts.ridge import Ridge
from redpop_assets.predictors.parts.title_words import TitleWords

if TYPE_CHECKING:
    import catboost

WORDS = "title words"
LEADING_COMPONENTS = 8
PARAMETERS: dict[str, Any] = {
    "loss_function": "RMSE",
    "learning_rate": 0.05,
    "depth": 5,
    "l2_leaf_reg": 3.0,
    "rsm": 0.3,
    "border_count": 32,
    "bootstrap_type": "Bernoulli",
    "subsample": 0.7,
    "boosting_type": "Plain",
    "thread_count": 1,
    "allow_writing_files": False,
    "logging_level": "Silent",
}
MOST_TREES = 600
PATIENCE = 50
MODEL, TENSORS, DETAILS = "catboost.json", "reduction.safetensors", "details.json"


class CatBoostFusion(Predictor):
    """CatBoost on tabular blocks, components of vectors and title words, and out-of-fold ridge predictions."""

    name = "catboost_fusion"
    title = "CatBoost over everything known when the post was made, vectors and title words reduced (after HyFea)"
    requires = frozenset({"time"})
    uses = frozenset(BLOCK_NAMES) - {"environment", "retrieved"}
    code_version = f"3.{TFIDF_VERSION}"
    library = "catboost"

    projections: dict[str, Projection]
    words: TitleWords | None
    ridges: dict[str, Ridge]
    """One per reduced block; `WORDS` among them."""
    model: str
    """The trees as CatBoost's JSON: what is stored, and what predicts."""
    booster: catboost.CatBoostRegressor

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        with threadpool_limits(limits=1, user_api="blas"):
            return self._fit_stages(train.take(np.argsort(train.created_at, kind="stable")), validation)

    def _fit_stages(self, train: Dataset, validation: Dataset) -> Training:
        import catboost

        labels = train.labels.astype(np.float64)
        self.projections = {
            name: Projection.fit(train.blocks[name], whiten=False) for name in WIDE_BLOCKS if name in self.columns
        }
        self.words = TitleWords.fit(train.captions) if train.captions else None
        self.ridges, out_of_fold = {}, {}
        reduced = self._reduced(train)
        for name, values in reduced.items():
            present = ~np.isnan(values).any(axis=1)
            if values.shape[1] and present.sum() >= self.minimum_train // 2:
                out_of_fold[name] = np.full(len(labels), np.nan)
                self.ridges[name], out_of_fold[name][present] = Ridge.fit(values[present], labels[present])
        inputs, held_out_inputs = self._joined(train, reduced, out_of_fold), self._inputs(validation)
        held_out = validation.labels.astype(np.float64)
        stopped = catboost.CatBoostRegressor(
            **PARAMETERS, iterations=MOST_TREES, early_stopping_rounds=PATIENCE, random_seed=self.seed
        )
        stopped.fit(inputs, labels, eval_set=(held_out_inputs, held_out))
        trees = stopped.tree_count_
        booster = catboost.CatBoostRegressor(**PARAMETERS, iterations=trees, random_seed=self.seed)
        booster.fit(np.vstack([inputs, held_out_inputs]), np.concatenate([labels, held_out]))
        self.model = _as_json(booster)
        self.booster = _from_json(self.model)
        before = np.asarray(stopped.predict(held_out_inputs, thread_count=1), dtype=np.float64)
        return Training(before, rounds=trees, rounds_of="trees")

    def _predict(self, data: Dataset) -> Doubles:
        return np.asarray(self.booster.predict(self._inputs(data), thread_count=1), dtype=np.float64)

    def contributions(self, data: Dataset) -> Contributions:
        """Shapley values of columns, components and ridge predictions."""
        import catboost

        self._check_columns(data)
        data = data.pick(self.columns)
        inputs, reduced = self._inputs(data), self._reduced(data)
        tabular = [
            (name, column) for name in BLOCK_NAMES if name not in WIDE_BLOCKS for column in self.columns.get(name, ())
        ]
        leading = [
            (name, f"component {number}")
            for name, values in reduced.items()
            for number in range(1, (values.shape[1] if name == WORDS else values[:, :LEADING_COMPONENTS].shape[1]) + 1)
        ]
        names = (*tabular, *leading, *((name, "ridge") for name in self.ridges))
        found = np.asarray(
            self.booster.get_feature_importance(catboost.Pool(inputs), type="ShapValues", thread_count=1)
        )
        return Contributions(float(found[0, -1]), names, found[:, :-1], inputs)

    def _inputs(self, data: Dataset) -> Doubles:
        reduced = self._reduced(data)
        return self._joined(data, reduced, {name: ridge.predict(reduced[name]) for name, ridge in self.ridges.items()})

    def _reduced(self, data: Dataset) -> dict[str, Doubles]:
        """Components of each wide block and of the title words; rows of NaN where a post lacks the block."""
        reduced = {
            name: projection.scores(data.blocks[name]).astype(np.float64)
            for name, projection in self.projections.items()
        }
        if self.words is not None:
            if not data.captions:
                raise ArtifactError(f"{self.name} was fitted with captions, which the data lack: train it again")
            reduced[WORDS] = self.words.transform(data.captions)
        return reduced

    def _joined(self, data: Dataset, reduced: dict[str, Doubles], opinions: dict[str, Doubles]) -> Doubles:
        """(n, d) inputs of the trees: tabular columns, leading components, one ridge prediction per reduced block."""
        tabular = [data.blocks[name].values for name in BLOCK_NAMES if name in self.columns and name not in WIDE_BLOCKS]
        leading = [values if name == WORDS else values[:, :LEADING_COMPONENTS] for name, values in reduced.items()]
        return np.hstack([*tabular, *leading, *(opinions[name][:, None] for name in self.ridges)])

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        tensors: dict[str, np.ndarray[Any, Any]] = dict(projection_arrays(self.projections))
        for name, ridge in self.ridges.items():
            tensors[f"centre.{name}"] = ridge.centre
            tensors[f"coefficients.{name}"] = np.ascontiguousarray(ridge.coefficients)
        if self.words is not None:
            tensors["words.weights"] = self.words.tfidf.inverse_frequency
            tensors["words.directions"] = self.words.directions
        save_file(tensors, folder / TENSORS)
        details = {
            "ridges": {name: [ridge.intercept, ridge.penalty] for name, ridge in self.ridges.items()},
            "terms": None if self.words is None else self.words.tfidf.terms,
        }
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        (folder / MODEL).write_text(self.model, encoding="utf-8")
        return [DETAILS, MODEL, TENSORS]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        tensors = load_file(folder / TENSORS)
        details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
        self.projections = projections_from(tensors, [name for name in WIDE_BLOCKS if name in self.columns])
        self.ridges = {
            name: Ridge(tensors[f"centre.{name}"], tensors[f"coefficients.{name}"], intercept, penalty)
            for name, (intercept, penalty) in details["ridges"].items()
        }
        self.words = (
            None
            if details["terms"] is None
            else TitleWords(TfIdf(details["terms"], tensors["words.weights"]), tensors["words.directions"])
        )
        self.model = (folder / MODEL).read_text(encoding="utf-8")
        self.booster = _from_json(self.model)


def _as_json(booster: catboost.CatBoostRegressor) -> str:
    """The trees alone: equal fits give equal text."""
    with TemporaryDirectory() as folder:
        path = Path(folder, MODEL)
        booster.save_model(str(path), format="json")
        model = json.loads(path.read_text(encoding="utf-8"))
    del model["model_info"]  # the time of the fit and a random identifier are in it
    return json.dumps(model) + "\n"


def _from_json(model: str) -> catboost.CatBoostRegressor:
    import catboost

    booster = catboost.CatBoostRegressor()
    with TemporaryDirectory() as folder:
        path = Path(folder, MODEL)
        path.write_text(model, encoding="utf-8")
        booster.load_model(str(path), format="json")
    return booster

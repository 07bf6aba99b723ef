"""`metadata_boosting`: LightGBM on what is known without looking at the image.

Origin: the metadata-only model that published ablations (SMPD feature fusion, #LearnDeeply) find hard to beat; a
content model has to. Inputs are the blocks time, author, flags, text (caption statistics, sentiment, emotions),
entities, novelty and community, no embeddings. Choices: small trees with much regularisation, because a subreddit has
hundreds of posts rather than millions; early stopping on the validation part, without a refit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.parts.contributions import Contributions
from redpop_assets.predictors.parts.trees import Rows, binned, predicted

if TYPE_CHECKING:
    import lightgbm

PARAMETERS: dict[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.03,
    "num_leaves": 7,
    "min_data_in_leaf": 20,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
MOST_TREES = 1000
PATIENCE = 75
MODEL = "model.txt"


class MetadataBoosting(Predictor):
    """Boosted trees on time, author, community, flags and caption statistics; LightGBM knows absent values itself."""

    name = "metadata_boosting"
    title = "Gradient boosting on time, author, community, flags and caption statistics, blind to the image"
    requires = frozenset({"time"})
    uses = frozenset({"time", "author", "flags", "text", "entities", "novelty", "community"})
    code_version = "2"
    library = "lightgbm"

    booster: lightgbm.Booster

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        import lightgbm

        parameters = PARAMETERS | {"seed": self.seed}
        fitting = binned(self._rows(train), train.labels, parameters, feature_name=self._feature_names())
        stopping = binned(self._rows(validation), validation.labels, parameters, reference=fitting)
        self.booster = lightgbm.train(
            parameters,
            fitting,
            num_boost_round=MOST_TREES,
            valid_sets=[stopping],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        return Training(self._predict(validation), rounds=self.booster.best_iteration, rounds_of="trees")

    def _predict(self, data: Dataset) -> Doubles:
        return predicted(self.booster, self._rows(data), len(data))

    def contributions(self, data: Dataset) -> Contributions:
        """Shapley values of the columns."""
        self._check_columns(data)
        inputs = self._rows(data.pick(self.columns))(slice(None))
        added = np.asarray(self.booster.predict(inputs, pred_contrib=True, num_threads=1), dtype=np.float64)
        names = tuple((block, column) for block, columns in self.columns.items() for column in columns)
        return Contributions(float(added[0, -1]), names, added[:, :-1], inputs.astype(np.float64))

    def _save_files(self, folder: Path) -> list[str]:
        self.booster.save_model(folder / MODEL)
        return [MODEL]

    def _load_files(self, folder: Path) -> None:
        import lightgbm

        self.booster = lightgbm.Booster(model_file=folder / MODEL)

    def _rows(self, data: Dataset) -> Rows:
        blocks = [data.blocks[name].values for name in self.columns]
        return lambda some: np.hstack([values[some] for values in blocks])

    def _feature_names(self) -> list[str]:
        # LightGBM refuses JSON's special characters in names, and blocks may share a column name.
        return [f"{name}.{index}" for name, columns in self.columns.items() for index in range(len(columns))]

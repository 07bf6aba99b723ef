"""`subreddit_median`: every post gets the median log score of the train part.

Origin: the baseline that explains most of a pooled comparison between communities and none of the order within one.
A predictor that does not beat it in absolute error has learnt nothing worth publishing.
"""

from __future__ import annotations

import json
from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset


class SubredditMedian(Predictor):
    """Constant prediction; looks at no block, so that a missing image changes nothing."""

    name = "subreddit_median"
    title = "Median score of the subreddit (baseline)"
    requires = frozenset()
    uses = frozenset()
    code_version = "1"
    minimum_train = 1
    minimum_validation = 1

    median = 0.0

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.median = float(np.median(train.labels))
        return Training(self._predict(validation))

    def _predict(self, data: Dataset) -> Doubles:
        return np.full(len(data), self.median)

    def _save_files(self, folder: Path) -> list[str]:
        (folder / "median.json").write_text(json.dumps({"median_log_score": self.median}) + "\n", encoding="utf-8")
        return ["median.json"]

    def _load_files(self, folder: Path) -> None:
        self.median = json.loads((folder / "median.json").read_text(encoding="utf-8"))["median_log_score"]

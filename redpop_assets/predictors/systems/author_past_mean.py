"""`author_past_mean`: how the author's earlier posts did, on the scale of the log score.

Origin: the "previous score of the author", which published ablations find hard to beat. The only input is
`past_mean_log_score` of the author block: the mean of the author's strictly earlier posts whose score had matured by
then, shrunk to the subreddit's mean so far; a mean that includes the post itself predicts pure noise (Spearman 0.26
with 14 posts per author).

Choice: a shrunk mean is no expectation yet, for authors differ less than their few posts do. A line with a slope above
0, by least squares over the train part, makes it one; no post has a part in its own input, so this does not flatter.
"""

from __future__ import annotations

import json
from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.errors import NotTrainable
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.parts.calibration import LinearMap

COLUMN = "past_mean_log_score"
FILE = "line.json"


class AuthorPastMean(Predictor):
    """An author without matured posts stands at the subreddit's mean so far, which the input then holds."""

    name = "author_past_mean"
    title = "Mean of the author's earlier scores (baseline)"
    requires = frozenset({"author"})
    uses = frozenset({"author"})
    code_version = "1"
    minimum_validation = 1

    line: LinearMap
    typical: float
    """Stands in for a past mean that is not known: the mean of the train part."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        if COLUMN not in self.columns.get("author", ()):
            raise NotTrainable(f"needs past scores of authors: all {len(train)} training posts have the same {COLUMN}")
        self.columns = {"author": (COLUMN,)}
        past = train.pick(self.columns).blocks["author"].values[:, 0].astype(np.float64)
        self.typical = float(np.nanmean(past))
        self.line = LinearMap.fit(self._past(train), train.labels.astype(np.float64))
        return Training(self._predict(validation))

    def _predict(self, data: Dataset) -> Doubles:
        return self.line.apply(self._past(data))

    def _past(self, data: Dataset) -> Doubles:
        past = data.pick(self.columns).blocks["author"].values[:, 0].astype(np.float64)
        return np.where(np.isnan(past), self.typical, past)

    def _save_files(self, folder: Path) -> list[str]:
        content = {"slope": self.line.slope, "intercept": self.line.intercept, "typical": self.typical}
        (folder / FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self.line, self.typical = LinearMap(content["slope"], content["intercept"]), content["typical"]

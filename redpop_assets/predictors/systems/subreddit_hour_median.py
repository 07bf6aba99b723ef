"""`subreddit_hour_median`: the median log score of the posts that were made at the same hour of the day.

Origin: the baseline of subreddit and clock; scores of a community depend on the hour (UTC). A model is of one
subreddit, so there is no median over all subreddits here: with labels of one community alone it would be the
`subreddit_median`.

Choices: an hour with few posts leans on its neighbours, and these on the whole day. With m the median of all posts, the
median of the hours h - 1, h and h + 1 (23 and 0 are neighbours) is pulled to m, and the median of the hour h to that:
(n * median + WEIGHT * fallback) / (n + WEIGHT) for n posts.
"""

from __future__ import annotations

import json
from pathlib import Path

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset

WEIGHT = 20
"""Posts after which an hour counts for half."""
FILE = "hour_medians.json"


class SubredditHourMedian(Predictor):
    """Looks at the time of creation alone, so that a missing image changes nothing."""

    name = "subreddit_hour_median"
    title = "Median score of the subreddit at this hour of the day (baseline)"
    requires = frozenset()
    uses = frozenset()
    code_version = "1"
    minimum_validation = 1

    medians: Doubles
    """(24,) log scores, by hour UTC."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        labels, hours = train.labels.astype(np.float64), hours_of_day(train)
        whole = float(np.median(labels))
        self.medians = np.empty(24)
        for hour in range(24):
            distance = np.abs(hours - hour)
            around = labels[np.minimum(distance, 24 - distance) <= 1]
            self.medians[hour] = pulled(labels[hours == hour], pulled(around, whole))
        return Training(self._predict(validation))

    def _predict(self, data: Dataset) -> Doubles:
        return self.medians[hours_of_day(data)]

    def _save_files(self, folder: Path) -> list[str]:
        content = {"median_log_scores": self.medians.tolist()}
        (folder / FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        self.medians = np.array(json.loads((folder / FILE).read_text(encoding="utf-8"))["median_log_scores"])


def hours_of_day(data: Dataset) -> npt.NDArray[np.int64]:
    """(n,) hours UTC, 0 to 23."""
    midnights = data.created_at.astype("datetime64[D]")
    hours: npt.NDArray[np.int64] = (data.created_at - midnights) // np.timedelta64(1, "h")
    return hours


def pulled(labels: Doubles, fallback: float) -> float:
    """The median of (n,) labels, pulled to the fallback; without labels the fallback."""
    if len(labels) == 0:
        return fallback
    return float((len(labels) * np.median(labels) + WEIGHT * fallback) / (len(labels) + WEIGHT))

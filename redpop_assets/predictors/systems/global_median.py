"""`global_median`: every post gets the median log score of all communities together.

Origin: the baseline of comparisons that pool communities. What `subreddit_median` gains on it is what the name of the
community alone says, which no picture and no caption has earned. Within one community both are constants.
"""

from __future__ import annotations

from redpop_assets.arrays import np
from redpop_assets.predictors.base import Training
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.systems.subreddit_median import SubredditMedian


class GlobalMedian(SubredditMedian):
    """The median over the train parts of all communities, of posts no newer than the newest of this one's.

    The others count as they were when this community was last trained.
    """

    name = "global_median"
    title = "Median score of all subreddits together (baseline)"
    code_version = "1"

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.median = float(np.median(np.concatenate([train.labels, train.elsewhere])))
        notes = () if len(train.elsewhere) else ("no other community had labelled posts by then",)
        return Training(self._predict(validation), notes=notes)

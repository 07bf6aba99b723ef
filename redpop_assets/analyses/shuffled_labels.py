"""`marts.shuffled_labels`: what the whole path finds where there is nothing to find.

The labels of train and validation are permuted among themselves (of a predictor that borrows, those of each other
community as well), the predictor is trained as ever, and judged on the true labels of the test posts. A single run
proves little: a predictor that learnt a random direction goes with the truth or against it, by as much as the direction
happens to. Over permutations this averages out, unless labels of the test part reach the training, or features that
only follow from them: then the mean stays away from 0.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Doubles, Finding, Study
from redpop_assets.arrays import np
from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.registry import predictor_class

PERMUTATIONS: Final = 8
"""Trainings; the interval of their mean has one degree of freedom less."""

LEVEL: Final = 0.95


def mean_interval(values: Doubles, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean of (k,) independent values, k > 1, and the ends of its Student interval: mean -+ t(k - 1) * s / sqrt(k)."""
    from scipy.stats import t

    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(t.ppf((1.0 + level) / 2.0, len(values) - 1)) * deviation / math.sqrt(len(values))
    return mean, mean - half, mean + half


def measure(study: Study) -> Finding:
    """One row: the mean over permutations, beside what the true labels give."""
    kind = predictor_class(study.predictor)
    parts = study.parts(sorted(kind.uses))
    train, validation, test = (parts[part].data for part in ("train", "validation", "test"))
    truth = parts["test"].truth
    row = {"predictor": study.predictor, "test_posts": len(test)}
    if len(test) < LEAST_POSTS:
        reason = f"too few test posts: {len(test)} of {LEAST_POSTS}"
        return Finding([{**row, "permutations": 0, "reason": reason}], notes=(reason,))
    others = study.others(sorted(kind.uses)) if kind.borrows else []
    labels = np.concatenate([train.labels, validation.labels])
    rng = np.random.default_rng(study.seed)
    found: list[float] = []
    true = None
    for permutation in range(PERMUTATIONS + 1):
        learnt = labels if permutation == 0 else rng.permutation(labels)
        predictor = kind(seed=study.seed)
        try:
            predictor.fit(
                replace(train, log_score=learnt[: len(train)]),
                replace(validation, log_score=learnt[len(train) :]),
                # What others like is no leak, but would be found here.
                [replace(other, log_score=rng.permutation(other.labels)) for other in others]
                if permutation
                else others,
            )
        except NotTrainable as error:
            return Finding([{**row, "permutations": 0, "reason": str(error)}], notes=(str(error),))
        # A predictor that found nothing, and so predicts a constant, is what is hoped for.
        rank = spearman(truth, predictor.predict(test))
        if permutation == 0:
            true = rank
        else:
            found.append(rank or 0.0)
            study.progress(f"shuffled_labels: {permutation} of {PERMUTATIONS} in r/{study.subreddit}")
    mean, low, high = mean_interval(np.array(found))
    return Finding(
        [
            {
                **row,
                "permutations": PERMUTATIONS,
                "spearman": mean,
                "spearman_low": low,
                "spearman_high": high,
                "spearmans": found,
                "true_spearman": true,
                "covers_zero": low <= 0.0 <= high,
                "reason": None,
            }
        ]
    )


SHUFFLED_LABELS = Analysis(
    name="shuffled_labels",
    question=(
        "Does anything leak? The predictor is trained on permuted labels, the whole path as ever, and judged on the "
        "true labels of the test posts: over several permutations the mean rank correlation must be 0 within its "
        "interval (Student, 95 %)."
    ),
    measure=measure,
    version="1",
    sources=(),
    of_one_predictor=True,
    shown={
        "subreddit": "subreddit",
        "predictor": "predictor",
        "permutations": "permutations",
        "spearman": "mean Spearman (95 %)",
        "covers_zero": "covers 0",
        "true_spearman": "with true labels",
        "reason": "remark",
    },
)

"""`stack`: the best weighted sum of other predictors, by what each said of posts that it had not learnt from.

Origin: stacked regressions (Breiman 1996: weights of at least 0, fitted to out-of-sample predictions), as the winners
of the SMP Challenge stack boosting and networks. What keeps it honest here is the order of time:

- the train part is cut into `BLOCKS` stretches of time, with the validation part as the last one. Each stretch is
  predicted by members trained on the earlier ones alone, whose newest posts serve as their validation part. Later
  posts take no part: their columns about the past already hold the scores of the stretch;
- weights come from these predictions: least squares with weights of at least 0 that sum to 1, each stretch centred
  first so that its level, which nobody could know, does not count, and shrunk a little towards equal weights;
- the reported validation metrics are of weights learnt without the validation part, on members that never saw it;
- at last each member is trained on the whole train part, with the validation part for its early stopping.

Members are the best of each kind, kernels, trees and a network; each is fitted up to four times. Boosting on metadata
and past neighbours had no weight beside these. One that cannot be trained (no captions, too few posts) is left out, and
a note says so. A post that lacks a block is predicted as the members do.
Memory: that of one member at a time, plus n x members numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from redpop_assets.arrays import np
from redpop_assets.errors import NotTrainable
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class

MEMBERS = ("fusion_lightgbm", "catboost_fusion", "multimodal_mlp")
BLOCKS = 4
STRETCHES = 2
"""Stretches of the train part that are predicted, the newest; the validation part comes on top."""
STOPPING_SHARE = 0.15
"""Of the posts a member is trained on, the newest, for its early stopping."""
SHRINKAGE = 0.05
"""Pull towards equal weights, as a share of what the predictions themselves tell."""
WEIGHTS = "weights.json"


class Stack(Predictor):
    """A weighted sum of predictors of different kinds."""

    name = "stack"
    title = "Weighted sum of kernels, trees and a network, weighed by their predictions of later posts"
    requires = frozenset()
    uses = frozenset().union(*(predictor_class(name).uses for name in MEMBERS))
    # A member of another version is another stack.
    code_version = "-".join(("2", *(predictor_class(name).code_version for name in MEMBERS)))

    members: dict[str, Predictor]
    weights: dict[str, float]
    """By member, at least 0, with sum 1."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.take(np.argsort(train.created_at, kind="stable"))
        names, stretches = self._out_of_sample(train, validation)
        *earlier, (newest, _) = stretches
        held_out = newest @ stacking_weights(earlier, len(names))
        weights = stacking_weights(stretches, len(names))
        self.weights = dict(zip(names, weights.tolist(), strict=True))
        self.members = {name: self._trained(name, train, validation) for name in names}
        shown = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        left_out = [f"left out {name}: it could not be trained" for name in MEMBERS if name not in names]
        return Training(held_out, notes=(f"weights: {shown}", *left_out))

    def _predict(self, data: Dataset) -> Doubles:
        predictions = [weight * self.members[name].predict(data) for name, weight in self.weights.items()]
        return np.asarray(np.sum(predictions, axis=0))

    def _out_of_sample(self, train: Dataset, validation: Dataset) -> tuple[list[str], list[tuple[Doubles, Doubles]]]:
        """Members that could be trained, and per stretch, oldest first, their predictions (n, members) and the labels.

        Raises:
            NotTrainable: no member could be trained.
        """
        blocks = np.array_split(np.arange(len(train)), BLOCKS)
        tasks = [(train.take(np.concatenate(blocks[:k])), train.take(blocks[k])) for k in range(1, BLOCKS)][-STRETCHES:]
        # Too short a past teaches nothing about the members.
        tasks = [(past, later) for past, later in tasks if _stopping(past) >= self.minimum_validation]
        tasks = [task for task in tasks if len(task[0]) - _stopping(task[0]) >= self.minimum_train]
        tasks.append((train, validation))
        names, found, reasons = [], [], []
        for name in MEMBERS:
            try:
                found.append([self._learnt_before(name, past).predict(later) for past, later in tasks])
                names.append(name)
            except NotTrainable as error:
                reasons.append(f"{name} {error}")
                self._say(f"{self.name}: left out {name}: {error}")
        if not names:
            raise NotTrainable(f"no member could be trained: {'; '.join(reasons)}")
        return names, [
            (np.column_stack([predictions[k] for predictions in found]), later.labels.astype(np.float64))
            for k, (_, later) in enumerate(tasks)
        ]

    def _learnt_before(self, name: str, past: Dataset) -> Predictor:
        newest = np.arange(len(past)) >= len(past) - _stopping(past)
        return self._trained(name, past.select(~newest), past.select(newest))

    def _trained(self, name: str, train: Dataset, validation: Dataset) -> Predictor:
        member = predictor_class(name)(seed=self.seed)
        member.fit(train, validation)
        return member

    def _save_files(self, folder: Path) -> list[str]:
        (folder / WEIGHTS).write_text(json.dumps(self.weights, indent=1) + "\n", encoding="utf-8")
        files = [WEIGHTS]
        for name, member in self.members.items():
            member.save(folder / name)
            files += [f"{name}/{path.name}" for path in sorted((folder / name).iterdir())]
        return files

    def _load_files(self, folder: Path) -> None:
        self.weights = json.loads((folder / WEIGHTS).read_text(encoding="utf-8"))
        self.members = {name: predictor_class(name).load(folder / name) for name in self.weights}


def stacking_weights(stretches: Sequence[tuple[Doubles, Doubles]], members: int) -> Doubles:
    """Weights (members,), at least 0 and with sum 1, of the least squared error; equal ones without any stretch.

    Args:
        stretches: per stretch of time the predictions (n, members) and the labels (n,).
    """
    from scipy.optimize import nnls

    equal = np.full(members, 1 / members)
    if not stretches:
        return equal
    said = np.vstack([predictions - predictions.mean(axis=0) for predictions, _ in stretches])
    truth = np.concatenate([labels - labels.mean() for _, labels in stretches])
    pull = np.sqrt(SHRINKAGE * max(float((said**2).sum()) / members, 1e-12))
    # A heavy row holds the sum at 1.
    bound = 1e3 * max(float(np.linalg.norm(said)), 1e-6)
    rows = np.vstack([said, pull * np.eye(members), np.full((1, members), bound)])
    found, _ = nnls(rows, np.concatenate([truth, pull * equal, [bound]]))
    return np.asarray(found / found.sum())


def _stopping(past: Dataset) -> int:
    return round(STOPPING_SHARE * len(past))

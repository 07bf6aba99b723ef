"""`tfidf_ridge`: ridge regression on the words and pairs of words of the caption.

Origin: the text baseline of published comparisons; Hessel, Lee & Mimno 2017 read their word weights on Reddit titles.
Vocabulary and weights of terms (`TfIdf`) come from the captions of the train part.

Choices: the penalty is the one of a grid with the least squared error on the validation part, which is later in time.
Memory: at most `MOST_ROWS` posts (the newest) are learnt from, as a sparse matrix.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redpop_assets.arrays import np, npt
from redpop_assets.errors import NotTrainable
from redpop_assets.features.tfidf import CODE_VERSION as TFIDF_VERSION
from redpop_assets.features.tfidf import TfIdf
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset, Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PENALTIES = tuple(10.0 ** (3 - step / 2) for step in range(9))
"""Strongest first, against the sum of squared errors; a caption has length 1."""
MOST_ROWS = 100_000
MOST_STEPS = 500
SHOWN = 5
TENSORS, TERMS = "ridge.safetensors", "terms.json"


class TfIdfRidge(Predictor):
    """Reads the caption alone, so that a missing image changes nothing; one without known terms gets the intercept."""

    name = "tfidf_ridge"
    title = "Ridge regression on words and pairs of words of the caption (baseline)"
    requires = frozenset()
    uses = frozenset()
    reads_captions = True
    code_version = f"1.{TFIDF_VERSION}"

    tfidf: TfIdf
    weights: Floats
    """(v,) log score per unit of a term."""
    intercept: float

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        train = train.newest(MOST_ROWS)
        labels, held_out = train.labels.astype(np.float64), validation.labels.astype(np.float64)
        self.tfidf = TfIdf.fit(train.captions)
        if not self.tfidf.terms:
            raise NotTrainable(f"needs words that captions share: {len(train)} training captions share none")
        inputs, held_out_inputs = self.tfidf.transform(train.captions), self.tfidf.transform(validation.captions)
        path = ridge_path(inputs, labels)
        errors = [
            float(((held_out_inputs @ weights + intercept - held_out) ** 2).mean()) for weights, intercept in path
        ]
        best = int(np.argmin(errors))
        self.weights, self.intercept = path[best][0].astype(np.float32), path[best][1]
        order = [self.tfidf.terms[column] for column in np.argsort(self.weights, kind="stable")]
        good, bad = ", ".join(order[: -SHOWN - 1 : -1]), ", ".join(order[:SHOWN])
        notes = (f"of {len(order)} terms, most for the score: {good}; most against it: {bad}",)
        self._say(f"{self.name}: penalty {PENALTIES[best]:g}; {notes[0]}")
        return Training(self._predict(validation), notes=notes)

    def _predict(self, data: Dataset) -> Doubles:
        return np.asarray(self.tfidf.transform(data.captions) @ self.weights.astype(np.float64) + self.intercept)

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        tensors: dict[str, npt.NDArray[Any]] = {
            "inverse_frequency": self.tfidf.inverse_frequency,
            "weights": self.weights,
            "intercept": np.array([self.intercept]),
        }
        save_file(tensors, folder / TENSORS)
        (folder / TERMS).write_text(json.dumps(self.tfidf.terms) + "\n", encoding="utf-8")
        return [TENSORS, TERMS]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        tensors = load_file(folder / TENSORS)
        terms = json.loads((folder / TERMS).read_text(encoding="utf-8"))
        self.tfidf = TfIdf(terms, tensors["inverse_frequency"])
        self.weights, self.intercept = tensors["weights"], float(tensors["intercept"][0])


def ridge_path(inputs: csr_array, target: Doubles) -> list[tuple[Doubles, float]]:
    """Weights (d,) and intercept for each of `PENALTIES`; minimises sum (y - b - x w)^2 + penalty |w|^2.

    Conjugate gradients on the normal equations, each from the last solution; columns are centred on the way, so that
    the inputs (n, d) stay sparse.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    mean = np.asarray(inputs.mean(axis=0)).ravel()
    deviation = target - target.mean()
    right = inputs.T @ deviation
    weights = np.zeros(len(mean))
    path = []
    for penalty in PENALTIES:

        def times(vector: Doubles, penalty: float = penalty) -> Doubles:
            fitted = inputs @ vector
            return np.asarray(inputs.T @ fitted - len(target) * mean * (mean @ vector) + penalty * vector)

        normal = LinearOperator((len(mean), len(mean)), matvec=times, dtype=np.float64)
        weights, _ = cg(normal, right, x0=weights, rtol=1e-6, maxiter=MOST_STEPS)
        path.append((weights, float(target.mean() - mean @ weights)))
    return path

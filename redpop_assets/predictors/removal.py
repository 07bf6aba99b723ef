"""How likely a post is to be taken down: penalised logistic regression, calibrated on posts it did not learn from.

Origin: the standard of prediction models for rare events (Steyerberg 2019, "Clinical Prediction Models", chapters 13
and 15): all inputs in one linear predictor under an L2 penalty, then recalibration of intercept and slope (Cox 1958;
Platt 1999). Removals are a few in a hundred posts, so a community has dozens of them to learn from: trees find too
little to split on, and weights that balance the classes would make no probability. Choices:

- inputs are what is known of a draft: statistics of the title, its words and pairs of words (TF-IDF of the train part),
  hour and weekday, what the author's past in the community was, gallery and crosspost. No picture: of most removed
  posts none is stored;
- the penalty is the one of a grid with the least log loss on the validation part, where slope and intercept are fitted;
- whoever closed the account since has no name, and spammers close theirs, or it is closed for them: that a name is
  missing tells of later than the post. In training such a post has the standing of another author, drawn at random; to
  an author who is not known the probability is the mean over `DONORS` authors.

Stored as JSON and safetensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.errors import ArtifactError
from redpop_assets.features.tfidf import TfIdf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.sparse import csr_array

Doubles: TypeAlias = "npt.NDArray[np.float64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"

CODE_VERSION: Final = "1"
"""Raise it whenever stored files, their meaning or what is learnt would be other ones."""

NAME: Final = "removal"
"""What its folder in the model store is called."""

PENALTIES: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse strengths of the L2 penalty, of inputs with a deviation of 1."""

WORDS: Final = 3.0
"""What rows of TF-IDF, of length 1, are multiplied with: beside inputs with a deviation of 1 they count little."""

DONORS: Final = 64
DETAILS: Final = "removal.json"
TENSORS: Final = "removal.safetensors"


@dataclass(frozen=True, eq=False)
class RemovalInputs:
    """What is known of n posts when they are made.

    Attributes:
        titles: n titles.
        numbers: (n, d) float64, all known.
        standing: (n, a) float64 of the authors; NaN rows where they are not known.
    """

    titles: Sequence[str]
    numbers: Doubles
    standing: Doubles

    def __len__(self) -> int:
        return len(self.titles)

    def of(self, rows: npt.NDArray[Any]) -> RemovalInputs:
        """Some of the posts, by number or by flag."""
        numbers = np.arange(len(self))[rows]
        return RemovalInputs([self.titles[row] for row in numbers], self.numbers[numbers], self.standing[numbers])


@dataclass(frozen=True, eq=False)
class RemovalModel:
    """A fitted predictor; make one with `fit` or `load`.

    Attributes:
        words: vocabulary of the train part.
        centre, scale: (d + a,) of the numbers and the standing; a column that is always the same has the scale 0.
        weights: (d + a + v,) of these and of the words.
        intercept: of the linear predictor.
        slope, shift: calibration: logit of the probability = shift + slope * linear predictor.
        donors: (m, a) standing of authors of the train part; m is 0 where none is known.
        penalty: the one of `PENALTIES`.
    """

    words: TfIdf
    centre: Doubles
    scale: Doubles
    weights: Doubles
    intercept: float
    slope: float
    shift: float
    donors: Doubles
    penalty: float

    @classmethod
    def fit(
        cls, train: RemovalInputs, removed: Flags, validation: RemovalInputs, validation_removed: Flags, *, seed: int
    ) -> Self:
        """Learn from posts of which some were removed and some were not, in both parts.

        Args:
            train, validation: posts; the latter choose the penalty and calibrate.
            removed, validation_removed: (n,) whether each was.
            seed: of the drawing of authors.
        """
        from sklearn.linear_model import LogisticRegression

        rng = np.random.default_rng(seed)
        known = np.flatnonzero(~np.isnan(train.standing).any(axis=1))
        standing = train.standing.copy()
        nameless = np.flatnonzero(np.isnan(train.standing).any(axis=1))
        standing[nameless] = train.standing[rng.choice(known, len(nameless))] if len(known) else 0.0
        donors = train.standing[np.sort(rng.choice(known, min(DONORS, len(known)), replace=False))]

        inputs = np.hstack([train.numbers, standing])
        centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
        scale[scale < 1e-9] = 0.0
        blank = cls(TfIdf.fit(train.titles), centre, scale, np.zeros(0), 0.0, 1.0, 0.0, donors, 0.0)
        table = blank._table(train, standing)
        best: tuple[float, Self] | None = None
        for penalty in PENALTIES:
            fitted = LogisticRegression(C=penalty, tol=1e-6, max_iter=2_000).fit(table, removed)
            weights, intercept = fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0])
            one = cls(blank.words, centre, scale, weights, intercept, 1.0, 0.0, donors, penalty)
            loss = log_loss(validation_removed, one.probability(validation))
            if best is None or loss < best[0]:
                best = loss, one
        assert best is not None
        return best[1]._calibrated(validation, validation_removed)

    def probability(self, posts: RemovalInputs) -> Doubles:
        """(n,) probability of each post to be taken down."""
        found = np.zeros(len(posts))
        nameless = np.isnan(posts.standing).any(axis=1)
        for rows, several in ((np.flatnonzero(~nameless), False), (np.flatnonzero(nameless), True)):
            if not len(rows):
                continue
            some = posts.of(rows)
            if several:
                donors = self.donors if len(self.donors) else np.zeros((1, posts.standing.shape[1]))
                base = self._linear(some, np.zeros_like(some.standing))
                end = len(self.centre)
                own = self.weights[end - donors.shape[1] : end] * _inverse(self.scale[-donors.shape[1] :])
                found[rows] = _logistic(self.shift + self.slope * (base[:, None] + donors @ own)).mean(axis=1)
            else:
                found[rows] = _logistic(self.shift + self.slope * self._linear(some, some.standing))
        return found

    def save(self, folder: Path) -> None:
        """Write JSON and safetensors into a folder; equal fits write equal bytes."""
        from safetensors.numpy import save_file

        tensors = {name: getattr(self, name) for name in ("centre", "scale", "weights", "donors")}
        tensors["inverse_frequency"] = self.words.inverse_frequency
        save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, folder / TENSORS)
        numbers = {name: getattr(self, name) for name in ("intercept", "slope", "shift", "penalty")}
        details = {"code_version": CODE_VERSION, **numbers, "terms": self.words.terms}
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: it is missing, damaged, or of another version.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
            if details["code_version"] != CODE_VERSION:
                raise ArtifactError(f"{folder} was written by another version of RedPop: run `redpop materialize`.")
            tensors = load_file(folder / TENSORS)
            numbers = {name: float(details[name]) for name in ("intercept", "slope", "shift", "penalty")}
            words = TfIdf(details["terms"], tensors.pop("inverse_frequency"))
            return cls(words=words, **tensors, **numbers)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ArtifactError(f"{folder} holds no predictor of removals ({error}): train it again") from error

    def _linear(self, posts: RemovalInputs, standing: Doubles) -> Doubles:
        found: Doubles = self._table(posts, standing) @ self.weights + self.intercept
        return found

    def _table(self, posts: RemovalInputs, standing: Doubles) -> csr_array:
        """(n, d + a + v) inputs as the weights see them."""
        from scipy.sparse import csr_array, hstack

        scaled = (np.hstack([posts.numbers, standing]) - self.centre) * _inverse(self.scale)
        return csr_array(hstack([csr_array(scaled), WORDS * self.words.transform(posts.titles)]))

    def _calibrated(self, posts: RemovalInputs, removed: Flags) -> Self:
        """With the slope and the shift that fit other posts best; the order stays, or there is none."""
        from dataclasses import replace

        said = self.probability(posts)
        slope, shift = recalibration(np.log(said) - np.log1p(-said), removed)
        return replace(self, slope=slope, shift=shift)


def recalibration(logit: Doubles, happened: Flags) -> tuple[float, float]:
    """Slope (0 or more) and intercept of the logistic regression of what happened on what was said of it.

    A little of the slope is held near 1, as by one more post: of a dozen removals a slope cannot be told well.

    Args:
        logit: (n,) logits of the probabilities that were said.
        happened: (n,) both values occur.
    """
    from scipy.optimize import minimize

    signs = np.where(happened, 1.0, -1.0)

    def loss(guess: Doubles) -> tuple[float, Doubles]:
        slope, shift = guess
        margin = signs * (shift + slope * logit)
        pull = -signs * _logistic(-margin)
        value = float(np.logaddexp(0.0, -margin).sum()) + 0.5 * (slope - 1.0) ** 2
        return value, np.array([float(pull @ logit) + (slope - 1.0), float(pull.sum())])

    fitted = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=((0.0, None), (None, None)))
    return float(fitted.x[0]), float(fitted.x[1])


def log_loss(happened: Flags, probability: Doubles) -> float:
    """Mean of minus the logarithm of what was said of what came."""
    said = np.clip(np.where(happened, probability, 1.0 - probability), 1e-12, 1.0)
    return float(-np.log(said).mean())


def _logistic(value: Doubles) -> Doubles:
    bounded = np.clip(value, -30.0, 30.0)
    found: Doubles = 1.0 / (1.0 + np.exp(-bounded))
    return found


def _inverse(scale: Doubles) -> Doubles:
    found: Doubles = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    return found

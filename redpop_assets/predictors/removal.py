"""How likely a post is to be taken down: small boosted trees, calibrated on posts that they did not learn from.

Origin: gradient boosting of the log loss (Friedman 2001) by LightGBM, then recalibration of slope and intercept (Cox
1958; Platt 1999). Removals are a few in a hundred posts, so a community has dozens of them to learn from. Choices:

- inputs are what is known of a draft: statistics of the title, which frequent words and pairs of words it has, hour and
  weekday, what the author's past in the community was, gallery and crosspost. No picture: of most removed posts none is
  stored;
- trees of three leaves, whose number the log loss of the validation part decides. They learn what one forbidden word
  does as well as what an hour does; a penalised logistic regression on the same inputs was as good without such words,
  and half as good with them. Removals are not weighted up: what comes out would be no probability;
- slope and intercept are fitted on the validation part, too; with a dozen removals no curve could be;
- whoever closed the account since has no name, and spammers close theirs, or it is closed for them: that a name is
  missing tells of later than the post. In training such a post has the standing of another author, drawn at random; for
  an author who is not known the probability is the mean over `DONORS` authors.

Stored as JSON and LightGBM's own text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from redpop_assets import versions
from redpop_assets.arrays import np, npt
from redpop_assets.errors import ArtifactError
from redpop_assets.features.tfidf import TfIdf
from redpop_assets.predictors.parts.trees import Rows, binned, predicted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import lightgbm

Doubles: TypeAlias = "npt.NDArray[np.float64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"

NAME: Final = "removal"
"""What its folder in the model store is called."""

PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 3,
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
MOST_TREES: Final = 1000
PATIENCE: Final = 75

LEAST_TITLES: Final = 10
LEAST_SHARE: Final = 0.005
"""A word counts if so many titles of the train part have it, and such a share of them; a leaf needs 20 posts."""

DONORS: Final = 16
"""Authors of the train part who stand for one who is not known."""

SLOPE_PRIOR: Final = 0.5
LEVEL_PRIOR: Final = 0.3
"""How far calibration may well go from what the trees say: a slope, and a logit."""

DETAILS: Final = "removal.json"
MODEL: Final = "model.txt"


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

    @property
    def nameless(self) -> Flags:
        """(n,) whose authors are not known."""
        return np.asarray(np.isnan(self.standing).any(axis=1))

    def of(self, rows: npt.NDArray[Any]) -> RemovalInputs:
        """Some of the posts, by number or by flag."""
        numbers = np.arange(len(self))[rows]
        return RemovalInputs([self.titles[row] for row in numbers], self.numbers[numbers], self.standing[numbers])


@dataclass(frozen=True, eq=False)
class RemovalModel:
    """A fitted predictor; make one with `fit` or `load`.

    Attributes:
        words: the words that count.
        booster: the trees; what they say is a logit.
        slope, shift: calibration: logit of the probability = shift + slope * what the trees say.
        donors: (m, a) standing of authors of the train part; m is 0 where none is known.
    """

    words: TfIdf
    booster: lightgbm.Booster
    slope: float
    shift: float
    donors: Doubles

    @classmethod
    def fit(
        cls, train: RemovalInputs, removed: Flags, validation: RemovalInputs, validation_removed: Flags, *, seed: int
    ) -> Self:
        """Learn from posts of which some were removed and some were not, in both parts.

        Args:
            train, validation: posts; the latter decide about the number of trees, and calibrate.
            removed, validation_removed: (n,) whether each was.
            seed: of the trees and of the drawing of authors.
        """
        import lightgbm

        rng = np.random.default_rng(seed)
        known = np.flatnonzero(~train.nameless)
        words = TfIdf.fit(train.titles, least=max(LEAST_TITLES, round(LEAST_SHARE * len(train))))
        parameters = PARAMETERS | {"seed": seed}
        named = (replace(part, standing=_drawn(part, train.standing[known], rng)) for part in (train, validation))
        fitting, stopping = (_rows(part, words) for part in named)
        data = binned(fitting, removed.astype(np.float64), parameters)
        booster = lightgbm.train(
            parameters,
            data,
            num_boost_round=MOST_TREES,
            valid_sets=[binned(stopping, validation_removed.astype(np.float64), parameters, reference=data)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        # What is loaded from a file is what is used at once: trees beyond the best number are not in it.
        booster = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))
        donors = train.standing[np.sort(rng.choice(known, min(DONORS, len(known)), replace=False))]
        said = predicted(booster, stopping, len(validation), raw_score=True)
        return cls(words, booster, *recalibration(said, validation_removed), donors)

    def probability(self, posts: RemovalInputs) -> Doubles:
        """(n,) probability of each post to be taken down."""
        found = self._logistic(posts, posts.standing)
        nameless = np.flatnonzero(posts.nameless)
        if len(nameless) and len(self.donors):
            some = posts.of(nameless)
            shares = [self._logistic(some, np.tile(donor, (len(some), 1))) for donor in self.donors]
            found[nameless] = np.mean(shares, axis=0)
        return found

    def save(self, folder: Path) -> None:
        """Write JSON and text into a folder; equal fits write equal bytes."""
        (folder / MODEL).write_text(self.booster.model_to_string(), encoding="utf-8")
        details = {
            "code_version": versions.REMOVAL_PREDICTORS,
            "slope": self.slope,
            "shift": self.shift,
            "terms": self.words.terms,
            "donors": self.donors.tolist(),
        }
        (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: it is missing, damaged, or of another version.
        """
        import lightgbm

        try:
            details = json.loads((folder / DETAILS).read_text(encoding="utf-8"))
            if details["code_version"] != versions.REMOVAL_PREDICTORS:
                raise ArtifactError(f"{folder} was written by another version of RedPop: run `redpop materialize`.")
            booster = lightgbm.Booster(model_str=(folder / MODEL).read_text(encoding="utf-8"))
            words = TfIdf(details["terms"], np.ones(len(details["terms"])))
            donors = np.array(details["donors"], dtype=np.float64).reshape(len(details["donors"]), -1)
            return cls(words, booster, float(details["slope"]), float(details["shift"]), donors)
        except (OSError, ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
            raise ArtifactError(f"{folder} holds no predictor of removals ({error}): train it again") from error

    def _logistic(self, posts: RemovalInputs, standing: Doubles) -> Doubles:
        inputs = _rows(replace(posts, standing=standing), self.words)
        said = predicted(self.booster, inputs, len(posts), raw_score=True)
        return _logistic(self.shift + self.slope * said)


def recalibration(logit: Doubles, happened: Flags) -> tuple[float, float]:
    """Slope (0 or more) and intercept of the logistic regression of what happened on what was said of it.

    Both are held near what was said: a dozen removals tell neither well, and trees that were fitted to several times as
    many know the share of removals themselves. Priors are normal, with deviations of `SLOPE_PRIOR` and, of the logit in
    the middle, `LEVEL_PRIOR`.

    Args:
        logit: (n,) logits of the probabilities that were said.
        happened: (n,) both values occur.
    """
    from scipy.optimize import minimize

    signs = np.where(happened, 1.0, -1.0)
    middle = float(logit.mean())
    spread = logit - middle

    def loss(guess: Doubles) -> tuple[float, Doubles]:
        slope, level = guess
        margin = signs * (middle + level + slope * spread)
        pull = -signs * _logistic(-margin)
        prior = (slope - 1.0) / SLOPE_PRIOR**2, level / LEVEL_PRIOR**2
        value = float(np.logaddexp(0.0, -margin).sum()) + 0.5 * ((slope - 1.0) * prior[0] + level * prior[1])
        return value, np.array([float(pull @ spread) + prior[0], float(pull.sum()) + prior[1]])

    fitted = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=((0.0, None), (None, None)))
    slope, level = map(float, fitted.x)
    return slope, middle + level - slope * middle


def _rows(posts: RemovalInputs, words: TfIdf) -> Rows:
    """Inputs of the trees: numbers, standing, and 1 for each word that a title has."""
    has = words.transform(posts.titles)

    def rows(some: slice) -> npt.NDArray[Any]:
        there = has[some].toarray() > 0
        return np.hstack([posts.numbers[some], posts.standing[some], there]).astype(np.float32)

    return rows


def _drawn(posts: RemovalInputs, donors: Doubles, rng: np.random.Generator) -> Doubles:
    """The standing of each post's author, of one of the donors where it is not known; NaN without any."""
    standing, nameless = posts.standing.copy(), np.flatnonzero(posts.nameless)
    if len(donors):
        standing[nameless] = donors[rng.integers(len(donors), size=len(nameless))]
    return standing


def _logistic(value: Doubles) -> Doubles:
    found: Doubles = 1.0 / (1.0 + np.exp(-np.clip(value, -30.0, 30.0)))
    return found

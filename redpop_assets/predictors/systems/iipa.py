"""`iipa`: intrinsic image popularity, learnt from pairs of pictures that nothing but the picture can tell apart.

Origin: Ding, Ma & Wang 2019. With N = log likes ~ Normal(mu, sigma) and intrinsic popularity E monotone in mu,
P(E_X >= E_Y | N_X, N_Y) = Phi((N_X - N_Y) / (sqrt(2) sigma)); two posts make a pair if that is at least T = 0.95, and
posting time, user and caption are alike. A Siamese network with shared weights gives E of each picture by one linear
output; the loss is the cross-entropy of logistic(E_X - E_Y).

On Reddit (choices):

- N is the log score. A pair is of one subreddit, of different pictures, within a time window, with titles of similar
  length (number of words plus one within a factor of `TITLE_FACTOR`), and at least `LEAST_POINTS` points apart, for
  votes are fuzzed by about so much. The window is the smallest of `WINDOWS` in which there are `PAIRS_PER_POST` pairs
  per post: half a minute in a busy community, up to 6 h as in the literature, and on to a week where a community is so
  quiet that a post stays in sight for days. All scores are matured. `same_author` wants the pair by one author too;
  off, because most Redditors post once.
- sigma comes from the train part's own copies of one picture (cosine of the centred vectors at least `SAME_PICTURE`):
  their pooled standard deviation, if the copies leave `LEAST_COPIES` degrees of freedom; else the paper's 0.3, the
  default of `assumed_sigma`. For pictures whose mu differ with deviation tau the paper's flat prior overstates P; the
  notes give Phi(z tau / sqrt(tau^2 + sigma^2)), the truth for a pair at T, beside it.
- the backbone is frozen, so the network is one linear output on its standardised vector, and the loss is convex: it is
  minimised by L-BFGS from 0 rather than by Adam in batches of 64 from He's random start, which a few hundred pictures
  could not unlearn in a thousand directions. The L2 penalty (paper: 1e-4, on millions of pairs) is the one of a grid
  with the least loss on validation pairs, which are made in the same way.
- E is a rank without a unit: a line with a slope above 0 (`LinearMap`), fitted to the validation part, brings it to the
  log score; the reported validation metrics are those of lines fitted to the other validation posts.

A post without a picture stands where the mean picture stands. Memory: at most `MOST_ROWS` posts (the newest) and
`MOST_PAIRS` pairs are learnt from.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.metrics import raw_score
from redpop_assets.evaluation.pairs import PairRule, pair_accuracy, time_controlled_pairs
from redpop_assets.features.tokens import words
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Dataset, Floats
from redpop_assets.predictors.parts.calibration import LinearMap, mapped_out_of_fold

Pairs: TypeAlias = "npt.NDArray[np.int64]"

WINDOWS = tuple(timedelta(seconds=s) for s in (30, 120, 600, 1800, 3600, 7200, 21_600, 86_400, 259_200, 604_800))
PAIRS_PER_POST = 5
LEAST_POINTS = 10.0
TITLE_FACTOR = 1.5
SAME_PICTURE = 0.97
LEAST_COPIES = 30
LEAST_TRAIN_PAIRS = 100
LEAST_VALIDATION_PAIRS = 10
PENALTIES = tuple(10.0 ** (1 - step / 2) for step in range(11))
"""Of the squared weights, against the mean loss of a pair; strongest first."""
MOST_ROWS = 5000
MOST_PAIRS = 50_000
COMPARED_AT_ONCE = 500
HEAD, LINE = "head.safetensors", "line.json"


class IntrinsicPopularity(Predictor):
    """Siamese ranking of pictures; a post without a picture stands where the mean picture stands."""

    name = "iipa"
    title = "IIPA: intrinsic popularity of the picture, learnt from pairs"
    requires = frozenset({"image"})
    uses = frozenset({"image"})
    code_version = "1"

    threshold: ClassVar[float] = 0.95
    assumed_sigma: ClassVar[float] = 0.3
    same_author: ClassVar[bool] = False

    mean: Floats
    deviation: Floats
    weights: Floats
    """(d,) each: moments of the train part, and E per deviation."""
    sigma: float
    line: LinearMap

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # One thread: the order of additions, and so the last bits, must not depend on the number of cores.
        with threadpool_limits(limits=1, user_api="blas"):
            return self._fit_head(train.newest(MOST_ROWS), validation.newest(MOST_ROWS))

    def _fit_head(self, train: Dataset, validation: Dataset) -> Training:
        pictures, held_out_pictures = same_pictures(train), same_pictures(validation)
        measured, copies = sigma_of_copies(train.labels.astype(np.float64), pictures)
        self.sigma = self.assumed_sigma if measured is None else measured
        pairs, window = self._pairs(train, pictures)
        held_out, _ = self._pairs(validation, held_out_pictures)
        if len(pairs) < LEAST_TRAIN_PAIRS or len(held_out) < LEAST_VALIDATION_PAIRS:
            raise NotTrainable(
                f"too few pairs of comparable posts with clearly different scores: {len(pairs)} of {LEAST_TRAIN_PAIRS} "
                f"in train, {len(held_out)} of {LEAST_VALIDATION_PAIRS} in validation"
            )

        self.mean, self.deviation = train.blocks["image"].moments()
        inputs, held_out_inputs = self._inputs(train), self._inputs(validation)
        weights, least = np.zeros(inputs.shape[1]), np.inf
        for penalty in PENALTIES:
            weights = ranking_head(inputs, pairs, penalty, weights)
            loss = ranking_loss(held_out_inputs @ weights, held_out)
            if loss < least:
                least, chosen, self.weights = loss, penalty, weights.astype(np.float32)
        ranks = self._ranks(validation)
        self.line = LinearMap.fit(ranks, validation.labels.astype(np.float64))

        tau = float(np.sqrt(max(train.labels.var() - self.sigma**2, 0.0)))
        certain = order_probability(least_difference(self.threshold, self.sigma), self.sigma, tau)
        source = "assumed" if measured is None else "measured"
        notes = (
            f"sigma {self.sigma:.2f} ({source}; {copies} repeats of a picture); {len(pairs)} pairs up to "
            f"{window.total_seconds() / 3600:.3g} h apart, the least clear {self.threshold:.0%} certain by the rule, "
            f"{certain:.0%} for pictures as different as these",
            f"pair accuracy {pair_accuracy(held_out, ranks):.1%} on {len(held_out)} validation pairs, "
            f"{pair_accuracy(pairs, self._ranks(train)):.1%} in train (penalty {chosen:g}, chosen on the former)",
        )
        for note in notes:
            self._say(f"{self.name}: {note}")
        return Training(mapped_out_of_fold(ranks, validation.labels.astype(np.float64)), notes=notes)

    def _pairs(self, data: Dataset, pictures: Pairs) -> tuple[Pairs, timedelta]:
        """(m, 2) rows, the better post first, and the window they lie in."""
        authors = data.authors or (None,) * len(data)
        controls = Controls(
            pictures=np.where(data.blocks["image"].present, pictures, -1),
            title_words=np.array([len(words(caption)) for caption in data.captions] or [0] * len(data)),
            authors=np.array([author or "" for author in authors]) if self.same_author else None,
        )
        log_scores = data.labels.astype(np.float64)
        difference = least_difference(self.threshold, self.sigma)
        for window in WINDOWS:
            pairs = discriminable_pairs(data.created_at, log_scores, controls, difference, window, self.seed)
            if len(pairs) >= min(PAIRS_PER_POST * len(data), MOST_PAIRS):
                break
        return pairs, window

    def _inputs(self, data: Dataset) -> Doubles:
        return data.blocks["image"].standardised(self.mean, self.deviation).astype(np.float64)

    def _ranks(self, data: Dataset) -> Doubles:
        """(n,) E, unbounded and without a unit."""
        return self._inputs(data) @ self.weights.astype(np.float64)

    def _predict(self, data: Dataset) -> Doubles:
        return self.line.apply(self._ranks(data))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file({"mean": self.mean, "deviation": self.deviation, "weights": self.weights}, folder / HEAD)
        content = {"slope": self.line.slope, "intercept": self.line.intercept, "sigma": self.sigma}
        (folder / LINE).write_text(json.dumps(content) + "\n", encoding="utf-8")
        return [HEAD, LINE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        head = load_file(folder / HEAD)
        self.mean, self.deviation, self.weights = head["mean"], head["deviation"], head["weights"]
        content = json.loads((folder / LINE).read_text(encoding="utf-8"))
        self.line, self.sigma = LinearMap(content["slope"], content["intercept"]), content["sigma"]


def order_probability(difference: float, sigma: float, tau: float = math.inf) -> float:
    """P(E_X >= E_Y) for N_X - N_Y = `difference`: Phi(z), z = difference / (sqrt(2) sigma).

    Args:
        difference: of log scores.
        sigma: standard deviation of N around the mu of a picture.
        tau: standard deviation of mu between pictures; infinite is the paper's flat prior, less makes the probability
            Phi(z tau / sqrt(tau^2 + sigma^2)).
    """
    from scipy.special import ndtr

    return float(ndtr(difference / (np.sqrt(2) * sigma) / np.sqrt(1 + (sigma / tau) ** 2 if tau > 0 else np.inf)))


def least_difference(probability: float, sigma: float) -> float:
    """The difference of log scores at which `order_probability` reaches this, with a flat prior."""
    from scipy.special import ndtri

    return float(np.sqrt(2) * sigma * ndtri(probability))


def sigma_of_copies(log_scores: Doubles, pictures: Pairs) -> tuple[float | None, int]:
    """Pooled standard deviation of the log scores of posts of one picture, and its degrees of freedom.

    Args:
        log_scores, pictures: (n,) labels, and a number for each different picture.

    Returns:
        None for sigma if there are fewer than `LEAST_COPIES` repeats, or all of them scored the same.
    """
    _, group, sizes = np.unique(pictures, return_inverse=True, return_counts=True)
    means = np.bincount(group, log_scores) / sizes
    freedom = int((sizes - 1).sum())
    if freedom < LEAST_COPIES:
        return None, freedom
    sigma = float(np.sqrt(((log_scores - means[group]) ** 2).sum() / freedom))
    return sigma or None, freedom


def same_pictures(data: Dataset) -> Pairs:
    """(n,) a number for each different picture: the row of the first post that shows it.

    Vectors with a cosine of `SAME_PICTURE` or more are of one picture; the mean is subtracted first, for the vectors of
    some networks all point the same way. A post without a vector is a group of its own.
    """
    block = data.blocks["image"]
    vectors = np.nan_to_num(block.values - block.moments()[0])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    first = np.arange(len(data))
    for start in range(0, len(data), COMPARED_AT_ONCE):
        here = vectors[start : start + COMPARED_AT_ONCE]
        alike = here @ vectors[: start + len(here)].T >= SAME_PICTURE
        # A row without a vector is like none, not even itself.
        found = np.where(alike.any(axis=1), alike.argmax(axis=1), np.arange(start, start + len(here)))
        first[start : start + len(here)] = found
    return first[first]


@dataclass(frozen=True, eq=False)
class Controls:
    """What two posts of a pair must share, or not.

    Args:
        pictures: (n,) number of the picture, -1 for none: such a post makes no pair.
        title_words: (n,) number of words; all 0 where captions are not given.
        authors: (n,) names, "" for an unknown one; None to let authors differ.
    """

    pictures: Pairs
    title_words: Pairs
    authors: npt.NDArray[np.str_] | None = None


def discriminable_pairs(
    created_at: npt.NDArray[np.datetime64],
    log_scores: Doubles,
    controls: Controls,
    difference: float,
    window: timedelta,
    seed: int,
) -> Pairs:
    """Pairs of posts of one subreddit that differ clearly in score and little in what is not the picture.

    Args:
        created_at, log_scores: (n,).
        difference: least difference of the log scores, from `least_difference`.
        window: longest time between the two.
        seed: of the sample, where there are more than `MOST_PAIRS`.

    Returns:
        (m, 2) rows, the better post first.
    """
    rule = PairRule(window=window, min_ratio=0.0, min_difference=LEAST_POINTS, max_pairs=4 * MOST_PAIRS, seed=seed)
    points = raw_score(log_scores)
    pairs = time_controlled_pairs(np.zeros(len(points), dtype=np.int64), created_at, points, controls.pictures, rule)
    better, worse = pairs[:, 0], pairs[:, 1]
    length = np.log1p(controls.title_words)
    kept = log_scores[better] - log_scores[worse] >= difference
    kept &= np.abs(length[better] - length[worse]) <= np.log(TITLE_FACTOR)
    kept &= (controls.pictures[better] >= 0) & (controls.pictures[worse] >= 0)
    if controls.authors is not None:
        kept &= (controls.authors[better] == controls.authors[worse]) & (controls.authors[better] != "")
    pairs = pairs[kept]
    if len(pairs) > MOST_PAIRS:
        pairs = pairs[np.sort(np.random.default_rng(seed).choice(len(pairs), MOST_PAIRS, replace=False))]
    return pairs


def ranking_loss(ranks: Doubles, pairs: Pairs) -> float:
    """Mean cross-entropy of logistic(E_X - E_Y), X the better one; ln 2 for equal ranks."""
    return float(np.logaddexp(0, ranks[pairs[:, 1]] - ranks[pairs[:, 0]]).mean())


def ranking_head(inputs: Doubles, pairs: Pairs, penalty: float, start: Doubles) -> Doubles:
    """Weights (d,) of the one output: the minimum of `ranking_loss` + penalty |w|^2 (convex).

    Args:
        inputs: (n, d) standardised vectors.
        pairs: (m, 2) rows, the better one first.
        start: (d,) where to begin.
    """
    from scipy.optimize import minimize

    better, worse = pairs[:, 0], pairs[:, 1]

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        ranks = inputs @ weights
        wrong = 1 / (1 + np.exp(np.clip(ranks[better] - ranks[worse], -500, 500)))  # probability of the wrong order
        slope = np.bincount(worse, wrong, len(inputs)) - np.bincount(better, wrong, len(inputs))
        value = ranking_loss(ranks, pairs) + penalty * float(weights @ weights)
        return value, inputs.T @ slope / len(pairs) + 2 * penalty * weights

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return np.asarray(found.x)

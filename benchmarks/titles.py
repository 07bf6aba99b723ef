"""Which of two titles of one picture did better, and can it be told? On captions of cartoons that people voted on.

Reddit never shows one picture under two titles at one time; the caption contest of The New Yorker does: thousands of
captions for a cartoon a week, each with the mean of the public's ratings (1 unfunny, 2 somewhat funny, 3 funny) and its
standard error. The file has columns contest, caption, score, precision (that standard error) and count (votes), CSV,
plain or gzip, made from `contests/summaries/*_summary_KLUCB.csv` of github.com/nextml/caption-contest-data-api (CC BY
4.0; by the NEXT project and The New Yorker's contest). An adaptive algorithm gave better captions more votes, so
`count` knows the outcome: it is not read.

Models learn the score, less the mean of its contest, from some contests, weighing each caption by its precision; what
their differences are worth is learnt from others (`redpop_assets.predictors.parts.differences`, as `redpop predict`
does), and they are judged on captions of the rest: no contest is in two parts. Printed:

- pair accuracy within a contest by how sure the truth is: the difference of the two scores in its standard errors z;
- for pairs of which the truth is all but sure (z of `SURE` or more), how often the model tells them apart, and how many
  of those wrongly; for pairs that the truth cannot tell (z below 1), how often it claims a difference;
- how many intervals of 80 and 90 % hold the true difference, whose own error is added to the interval's.

Run: `python benchmarks/titles.py FILE [--captions 250] [--contests 40] [--seed 0]`
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from redpop_assets.encoders.load import load_text_encoder
from redpop_assets.features.captions import caption_features
from redpop_assets.predictors.parts.differences import Differences

Doubles = npt.NDArray[np.float64]
SURE = 3.0
HELD_OUT, JUDGED = 0.2, 0.3
"""Shares of the contests that the worth of differences is learnt from, and that are judged."""
MOST_RESIDUALS = 600
EDGES = (0.0, 1.0, 2.0, 3.0, 5.0, np.inf)


def sampled(path: Path, contests: int, captions: int, seed: int) -> pa.Table:
    """So many captions of each of the first contests, drawn at random, those with a known error only."""
    try:
        table = csv.read_csv(
            path, convert_options=csv.ConvertOptions(include_columns=["contest", "caption", "score", "precision"])
        )
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise SystemExit(
            f"{path} is no file of captions ({error}); the beginning of this program says what it holds."
        ) from error
    table = table.filter(pc.and_(pc.greater(table["precision"], 0), pc.greater(pc.utf8_length(table["caption"]), 0)))
    rng = np.random.default_rng(seed)
    of = table["contest"].to_numpy()
    rows = [rng.permutation(np.flatnonzero(of == contest))[:captions] for contest in np.unique(of)[:contests]]
    return table.take(np.concatenate(rows))


def pairs_within(contest: npt.NDArray[np.int64], seed: int, each: int = 1_000) -> npt.NDArray[np.int64]:
    """(m, 2) rows of two captions of one contest, so many of each."""
    rng = np.random.default_rng(seed)
    found = [rng.choice(np.flatnonzero(contest == one), (each, 2)) for one in np.unique(contest)]
    pairs: npt.NDArray[np.int64] = np.concatenate(found)
    apart: npt.NDArray[np.int64] = pairs[pairs[:, 0] != pairs[:, 1]]
    return apart


def ridge(features: Any, target: Doubles, weights: Doubles, rows: npt.NDArray[np.bool_]) -> Doubles:
    """(n,) predictions by a ridge whose penalty does best on a tenth of what is learnt from."""
    learn = np.flatnonzero(rows)
    later = learn[-len(learn) // 10 :]
    before = learn[: -len(learn) // 10]

    def error(penalty: float) -> float:
        fitted = Ridge(penalty).fit(features[before], target[before], weights[before])
        return float(np.average((fitted.predict(features[later]) - target[later]) ** 2, weights=weights[later]))

    best = min((0.1, 1.0, 10.0, 100.0, 1000.0), key=error)
    return np.asarray(
        Ridge(best).fit(features[learn], target[learn], weights[learn]).predict(features), dtype=np.float64
    )


def boosted(features: Doubles, target: Doubles, weights: Doubles, rows: npt.NDArray[np.bool_]) -> Doubles:
    """(n,) predictions by boosted trees, stopped by a tenth of what is learnt from."""
    import lightgbm

    learn = np.flatnonzero(rows)
    later, before = learn[-len(learn) // 10 :], learn[: -len(learn) // 10]
    data = lightgbm.Dataset(features[before], target[before], weight=weights[before])
    check = lightgbm.Dataset(features[later], target[later], weight=weights[later], reference=data)
    options = {
        "learning_rate": 0.05,
        "num_leaves": 15,
        "feature_fraction": 0.3,
        "verbosity": -1,
        "num_threads": 2,
        "seed": 0,
    }
    trees = lightgbm.train(
        options, data, 500, valid_sets=[check], callbacks=[lightgbm.early_stopping(30, verbose=False)]
    )
    return np.asarray(trees.predict(features), dtype=np.float64)


def main() -> None:
    """Learn, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--captions", type=int, default=250, help="of each contest, at random")
    parser.add_argument("--contests", type=int, default=40, help="at most so many")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    table = sampled(options.file, options.contests, options.captions, options.seed)
    captions = table["caption"].to_pylist()
    contest, score, error = (table[name].to_numpy() for name in ("contest", "score", "precision"))
    names = np.unique(contest)
    order = np.random.default_rng(options.seed).permutation(names)
    judged = np.isin(contest, order[: round(JUDGED * len(names))])
    held_out = np.isin(contest, order[round(JUDGED * len(names)) : round((JUDGED + HELD_OUT) * len(names))])
    learn = ~judged & ~held_out
    if not (judged.any() and held_out.any() and learn.any()):
        raise SystemExit("Five contests are needed at least: give a file with more.")
    means = {one: np.average(score[contest == one], weights=error[contest == one] ** -2.0) for one in names}
    target = score - np.array([means[one] for one in contest])
    spread = float(np.std(target[learn]))
    weights = 1.0 / (spread**2 + error**2)
    weights /= weights[learn].mean()

    vectors = load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/bundled", device="cpu").encode(captions)
    columns = caption_features(captions)
    text = np.column_stack([values for values in columns.values() if values.ndim == 1]).astype(np.float64)
    mean, deviation = text[learn].mean(axis=0), text[learn].std(axis=0)
    text = np.clip((text - mean) / np.where(deviation > 0, deviation, np.inf), -4, 4)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True).fit(
        [captions[row] for row in np.flatnonzero(learn)]
    )
    both = np.hstack([text, 8 * vectors])
    length = np.array([len(caption) for caption in captions], dtype=np.float64)
    models: dict[str, Callable[[], Doubles]] = {
        "length (baseline)": lambda: ridge(np.column_stack([length, np.log(length)]) / 50, target, weights, learn),
        "TF-IDF, ridge (baseline)": lambda: ridge(words.transform(captions), target, weights, learn),
        "caption features, ridge": lambda: ridge(text, target, weights, learn),
        "MiniLM, ridge": lambda: ridge(8.0 * vectors.astype(np.float64), target, weights, learn),
        "features and MiniLM, ridge": lambda: ridge(both, target, weights, learn),
        "features and MiniLM, boosted trees": lambda: boosted(both, target, weights, learn),
    }
    pairs = pairs_within(contest[judged], options.seed)
    rows = np.flatnonzero(judged)[pairs]
    difference = target[rows[:, 0]] - target[rows[:, 1]]
    doubt = np.hypot(error[rows[:, 0]], error[rows[:, 1]])
    z = np.abs(difference) / doubt
    likeness = (vectors[rows[:, 0]] * vectors[rows[:, 1]]).sum(axis=1)
    print(
        f"{len(captions):,} captions of {len(names)} contests: {learn.sum():,} learnt from, "
        f"{held_out.sum():,} held out, {judged.sum():,} judged in {len(rows):,} pairs"
    )
    bands = list(pairwise(EDGES))
    titles = [f"z {low:.0f}-{high:.0f}" if np.isfinite(high) else f"z {low:.0f}+" for low, high in bands]
    print(f"{'pairs':36}" + "".join(f"{((z >= low) & (z < high)).sum():>9,}" for low, high in bands))
    more = ("all", f"told {SURE:.0f}+", "wrongly", "claims<1", "in 80%", "in 90%", "slope")
    print(f"{'model':36}" + "".join(f"{title:>9}" for title in (*titles, *more)))
    chosen = np.random.default_rng(options.seed).permutation(np.flatnonzero(held_out))[:MOST_RESIDUALS]
    for name, made in models.items():
        expected = made()
        gap = expected[rows[:, 0]] - expected[rows[:, 1]]
        right = np.where(gap == 0, 0.5, np.sign(gap) == np.sign(difference))
        cells = [right[(z >= low) & (z < high)].mean() for low, high in bands] + [right[difference != 0].mean()]
        learnt = Differences.fit(
            target[chosen] - expected[chosen], expected[chosen], vectors[chosen], [None] * len(chosen)
        )
        if learnt is None:
            print(f"{name:36}" + "".join(f"{cell:9.3f}" for cell in cells))
            continue
        low, high = learnt.interval(gap, likeness, 90)
        claims = (low > 0) | (high < 0)
        sure, unsure = z >= SURE, z < 1
        wrong = claims & sure & (np.sign(low + high) != np.sign(difference))
        cells += [claims[sure].mean(), wrong.sum() / max((claims & sure).sum(), 1), claims[unsure].mean()]
        for level, reach in ((80, 1.2816), (90, 1.6449)):
            low, high = learnt.interval(gap, likeness, level)
            middle, half = (low + high) / 2, np.hypot((high - low) / 2, reach * doubt)
            cells.append((np.abs(difference - middle) <= half).mean())
        cells.append(float(learnt.weights @ learnt.slopes))
        print(f"{name:36}" + "".join(f"{cell:9.3f}" for cell in cells), flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()

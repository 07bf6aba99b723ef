"""Do intervals of the difference between two titles hold the true difference as often as they promise?

On communities of the sandbox, where it is known what a title is worth: a predictor learns from the posts of one, what
its differences are worth is learnt from later posts that it has not learnt from, and then titles of still later posts
are put under pictures, times and authors of others, several at once, as `redpop predict` does it
(`redpop_assets.refresh.titles`, `redpop_assets.predictors.parts.differences`). MiniLM encodes the captions.

Printed per predictor, over all communities: the share of intervals that hold the truth, between any two titles and
between the best by expectation of several and each other one; how many of the latter were told apart, and how many of
those are the other way round in truth; how often the best by expectation is the better one; the width (log score).

Run: `python benchmarks/title_intervals.py [--communities 10] [--held-out 100 300] [--predictor NAME ...]`
"""

import argparse
import time
from collections import defaultdict

import numpy as np

from redpop_assets.encoders.load import load_text_encoder
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.predictors.parts.differences import Differences
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.held_out import parts_of
from redpop_assets.refresh.sides import mixed
from redpop_assets.refresh.titles import SURE_LEVEL
from redpop_assets.testing.titled import Titled, titled_community

PREDICTORS = ("tfidf_ridge", "metadata_boosting", "late_fusion", "fusion_lightgbm", "catboost_fusion", "redpop_thesis")
DRAFTS, TITLES = 60, 5


def examined(community: Titled, name: str, seed: int) -> dict[str, list[float]]:
    """What came of the drafts of one community: name of a measure -> one number per difference."""
    predictor = predictor_class(name)(seed=seed)
    used = predictor.uses & set(community.train.blocks)
    train, validation, held_out, fresh = (
        data.pick({block: data.blocks[block].columns for block in used})
        for data in (community.train, community.validation, community.held_out, community.fresh)
    )
    predictor.fit(train, validation)
    residuals = held_out.labels.astype(np.float64) - predictor.predict(held_out)
    vectors = community.held_out.blocks["caption"].values
    learnt = Differences.fit(residuals, parts_of("title", predictor, held_out), vectors, held_out.authors)
    if learnt is None:
        return {}
    rng = np.random.default_rng(seed)
    titles = np.array([rng.choice(len(fresh), TITLES, replace=False) for _ in range(DRAFTS)])
    posts = rng.integers(len(fresh), size=DRAFTS)
    expected = predictor.predict(mixed(fresh, np.repeat(posts, TITLES), {"title": titles.ravel()})).reshape(
        DRAFTS, TITLES
    )
    order = np.argsort(-expected, axis=1, kind="stable")
    ranked, best = np.take_along_axis(titles, order, 1), np.take_along_axis(expected, order, 1)
    found: dict[str, list[float]] = defaultdict(list)
    of_titles = community.fresh.blocks["caption"].values
    for kind, first, second, difference in (
        ("any", titles[:, 0], titles[:, 1], expected[:, 1] - expected[:, 0]),
        (
            "best",
            ranked[:, :1].repeat(TITLES - 1, axis=1).ravel(),
            ranked[:, 1:].ravel(),
            (best[:, 1:] - best[:, :1]).ravel(),
        ),
    ):
        truth = community.worth[second] - community.worth[first]
        likeness = (of_titles[second] * of_titles[first]).sum(axis=1)
        for level in LEVELS:
            low, high = learnt.interval(difference, likeness, level)
            found[f"{kind} {level}"] += ((low <= truth) & (truth <= high)).tolist()
        if kind == "best":
            low, high = learnt.interval(difference, likeness, SURE_LEVEL)
            told = high < 0
            found["told apart"] += told.tolist()
            found["wrongly"] += (truth[told] > 0).tolist()
            found["best is better"] += (truth < 0).tolist()
            found["width"] += (high - low).tolist()
    return found


def main() -> None:
    """Examine every predictor in every community and print a table per number of held-out posts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--communities", type=int, default=10)
    parser.add_argument("--held-out", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--predictor", nargs="+", default=list(PREDICTORS))
    options = parser.parse_args()
    encoder = load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/bundled", device="cpu")
    for held_out in options.held_out:
        began = time.perf_counter()
        found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in options.predictor}
        for seed in range(options.communities):
            sizes = (3 * held_out, held_out // 2, held_out, 100)
            community = titled_community(seed, encoder.encode, sizes=sizes, subreddit=("pics", "earthporn")[seed % 2])
            for name in options.predictor:
                for measure, values in examined(community, name, seed).items():
                    found[name][measure] += values
        print(f"\n{held_out} held-out posts, {options.communities} communities, {time.perf_counter() - began:.0f} s")
        measures = [f"{kind} {level}" for kind in ("any", "best") for level in LEVELS]
        measures += ["told apart", "wrongly", "best is better", "width"]
        print(f"{'predictor':20}" + "".join(f"{measure:>16}" for measure in measures))
        for name, of in found.items():
            cells = (f"{np.mean(of[measure]):16.3f}" if of[measure] else f"{'-':>16}" for measure in measures)
            print(f"{name:20}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()

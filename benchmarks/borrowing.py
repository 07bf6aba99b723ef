"""What small communities gain by learning from others: before and after borrowing, against what can be known.

Communities of the sandbox, each with a taste, authors and hours of its own (`redpop_assets.sandbox.popularity`), as
data without servers: titles, times and authors are computed as everywhere, pictures are vectors of what can be seen in
them, by one network for all. `--bend` says how far tastes differ; the sandbox itself has 0.12, where communities
agree in most, and at 1 they have about as much of their own as in common.

Of each community the newest posts are the test part, the same ones for every number of posts. Posts that had not
matured when it begins teach nobody, here or elsewhere. Of the others the newest so many are learnt from, the last 15 of
100 of them as the validation part, and as many of each other community are lent, none newer than the train part
(`redpop_assets.refresh.lending`). So every community of a warehouse is as small as the one that is judged; with
`--lenders N` the others have N posts.

Printed: the mean over communities of the Spearman correlation on the test part, paired gains over the predictor that
does not borrow, each with an interval of 95 % that draws communities, in how many of them it gained; seconds of a fit;
and the correlation with what the sandbox expects of the test posts without noise, which nobody can pass.

Run: `python benchmarks/borrowing.py [--communities 20] [--judged 20] [--posts 100 300 1000 5000] [--bend 0.12]`
"""

import argparse
import time
from collections import defaultdict
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.lending import share_of_each
from redpop_assets.sandbox.popularity import BEND, IMAGE_PROPERTIES
from redpop_assets.sandbox.world import World
from redpop_assets.testing.titled import MATURES, dataset_of, plain_posts, seen

TEST = 500
VALIDATION_SHARE = 0.15
PER_DAY = 16
WIDTH = 64
PAIRS = {"pooled_boosting": "metadata_boosting", "pooled_fusion": "catboost_fusion"}
"""Who borrows -> who is the same without."""
RESAMPLES = 2_000

Doubles = npt.NDArray[np.float64]


def communities(count: int, posts: int, bend: float, seed: int) -> list[tuple[Dataset, Doubles]]:
    """Communities of so many posts in the order of time, and (n,) what the sandbox expects of them without noise."""
    names = tuple(f"community{number:02}" for number in range(count))
    world = World(seed, names, posts, history=timedelta(days=posts / PER_DAY), bend=bend)
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(sum(map(len, IMAGE_PROPERTIES.values())), WIDTH))
    found = []
    for name in names:
        made = plain_posts(world, name, posts)
        expected = np.array([post.expected_log_score for post in made])
        found.append((dataset_of(made, seen(made, mixing, rng)), expected))
    return found


def learnable(data: Dataset, until: np.datetime64) -> Dataset:
    """Posts whose scores were final at a moment, in the order of time."""
    return data.select(data.created_at + np.timedelta64(MATURES) <= until)


def newest(data: Dataset, most: int) -> Dataset:
    """The newest so many of posts in the order of time."""
    return data.take(np.arange(max(0, len(data) - most), len(data)))


def parts(data: Dataset, posts: int) -> tuple[Dataset, Dataset, npt.NDArray[np.intp]]:
    """Train and validation part of the newest so many posts that had matured, and the rows of the test part."""
    test = np.arange(len(data) - TEST, len(data))
    learnt = newest(learnable(data, data.created_at[test[0]]), posts)
    split = len(learnt) - round(VALIDATION_SHARE * len(learnt))
    return learnt.take(np.arange(split)), learnt.take(np.arange(split, len(learnt))), test


def lent_to(train: Dataset, others: list[Dataset], posts: int) -> list[Dataset]:
    """The newest posts of others that are no newer than the train part."""
    share = min(posts, share_of_each(len(others)))
    return [newest(other.select(other.created_at <= train.created_at.max()), share) for other in others]


def interval(values: Doubles, seed: int) -> tuple[float, float, float]:
    """Mean of (k,) communities, with the ends of its interval of 95 % by drawing communities."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def main() -> None:
    """Make the communities, learn, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--communities", type=int, default=20)
    parser.add_argument("--judged", type=int, default=20, help="the first so many of them")
    parser.add_argument("--posts", type=int, nargs="+", default=[100, 300, 1000, 5000], help="of each community")
    parser.add_argument("--lenders", type=int, default=0, help="posts of the others; 0: as many as of the judged one")
    parser.add_argument("--bend", type=float, default=BEND, help="how far tastes differ")
    parser.add_argument("--predictor", nargs="+", default=[*PAIRS.values(), *PAIRS])
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    began = time.perf_counter()
    embargo = PER_DAY * MATURES.days
    wanted = max(*options.posts, options.lenders) + embargo + TEST
    made = communities(options.communities, round(1.02 * wanted), options.bend, options.seed)
    print(
        f"{len(made)} communities of {len(made[0][0]):,} posts made in {time.perf_counter() - began:.0f} s", flush=True
    )
    ceilings = []
    for data, expected in made[: options.judged]:
        ceilings.append(spearman(data.labels[-TEST:].astype(np.float64), expected[-TEST:]) or 0.0)
    print("nobody can pass {:.3f} [{:.3f}, {:.3f}]".format(*interval(np.array(ceilings), options.seed)))
    for posts in options.posts:
        found: dict[str, list[float]] = defaultdict(list)
        seconds: dict[str, float] = defaultdict(float)
        for number, (data, _) in enumerate(made[: options.judged]):
            train, validation, test = parts(data, posts)
            others = [other for place, (other, _) in enumerate(made) if place != number]
            lent = lent_to(train, others, options.lenders or posts)
            later = data.take(test)
            for name in options.predictor:
                predictor = predictor_class(name)(seed=options.seed)
                start = time.process_time()
                try:
                    predictor.fit(train, validation, lent)
                    found[name].append(spearman(later.labels, predictor.predict(later)) or 0.0)
                except NotTrainable:
                    found[name].append(0.0)
                seconds[name] += time.process_time() - start
        print(f"\n{posts:,} posts of each, {len(lent)} lenders of {len(lent[0]):,} posts")
        for name in options.predictor:
            own = np.array(found[name])
            line = "{:20}{:7.3f} [{:.3f}, {:.3f}]".format(name, *interval(own, options.seed))
            if (alone := PAIRS.get(name)) in found:
                gain = own - np.array(found[alone])
                line += "   {:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(gain, options.seed))
                line += f", {int((gain > 0).sum())} of {len(gain)}"
            print(f"{line}   {seconds[name] / len(own):.1f} s", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()

"""What small communities gain by learning from others: before and after borrowing, against what can be known.

Communities of the sandbox, each with a taste, authors and hours of its own (`redpop_assets.sandbox.popularity`), as
data without servers: titles, times and authors are computed as everywhere, pictures are vectors of what can be seen in
them, by one network for all. `--bend` says how far tastes differ; the sandbox itself has 0.12, where communities
agree in most, and at 1 they have about as much of their own as in common.

Of each community the newest posts are the test part, the same ones for every number of posts. Posts that had not
matured when it begins teach nobody, here or elsewhere. Of those before the newest are learnt from, so many in the train
part, and after them the validation part, 15 of 100 of both, 20 at least; earlier ones are as if they had never been,
for pasts of authors, too. As many of each other community are lent, none newer than the train part
(`redpop_assets.refresh.lending`). So every community of a warehouse is as small as the one that is judged; with
`--lenders N` the others have N posts.

Printed: the mean over communities of the Spearman correlation on the test part, paired gains over the predictor that
does not borrow, each with an interval of 95 % that draws communities, in how many of them it gained; seconds of a fit;
in how many communities what limits it, by the gain over the number of posts before (`redpop_assets.evaluation.limits`);
and the correlation with what the sandbox expects of the test posts without noise, which nobody can pass.

Run: `python benchmarks/borrowing.py [--communities 20] [--judged 20] [--posts 100 300 1000 5000] [--bend 0.12]`
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.bootstrap import Interval, author_clusters, paired_difference, replicate, spearman_of
from redpop_assets.evaluation.limits import limited_by
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.lending import no_newer, share_of_each
from redpop_assets.sandbox.popularity import BEND
from redpop_assets.testing.titled import MATURES, Told, sandbox_communities

TEST = 500
VALIDATION_SHARE, LEAST_VALIDATION = 0.15, 20
PER_DAY = 16
PAIRS = {"pooled_fusion_metadata": "metadata_boosting", "pooled_fusion": "catboost_fusion"}
"""Who borrows -> who is the same without."""
RESAMPLES = 2_000

Doubles = npt.NDArray[np.float64]


def of_both(posts: int) -> int:
    """Posts of train and validation part together, of so many in the train part."""
    return max(round(posts / (1 - VALIDATION_SHARE)), posts + LEAST_VALIDATION)


def parts(community: Told, posts: int) -> tuple[Dataset, Dataset, Dataset]:
    """Train, validation and test part, of which the first has so many posts."""
    first_test = int(community.posts[-TEST].created)
    embargo = sum(first_test - MATURES.total_seconds() < post.created <= first_test for post in community.posts[:-TEST])
    data = community.newest(of_both(posts) + embargo + TEST)
    edges = np.cumsum([posts, of_both(posts) - posts, embargo])
    train, validation, _, test = (data.take(rows) for rows in np.split(np.arange(len(data)), edges))
    return train, validation, test


def lent_to(train: Dataset, others: Sequence[Dataset]) -> list[Dataset]:
    """The newest posts of others that are no newer than the train part."""
    share = share_of_each(len(others))
    return [other.newest(share) for other in no_newer(others, train)]


def interval(values: Doubles, seed: int) -> tuple[float, float, float]:
    """Mean of (k,) communities, with the ends of its interval of 95 % by drawing communities."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def bounded(test: Dataset, said: Doubles) -> Interval | None:
    """Spearman correlation of what is said of test posts, with an interval that draws authors."""
    return replicate((spearman_of(test.labels, said),), author_clusters(test.authors))[0].interval()


def limit_of(test: Dataset, said: Doubles, with_fewer: Doubles | None, ceiling: Interval | None) -> str:
    """What limits a predictor in a community, by the gain over the number of posts before."""
    if with_fewer is None:
        return ""
    now, then = (spearman_of(test.labels, each) for each in (said, with_fewer))
    gain = paired_difference(now, then, author_clusters(test.authors))
    return limited_by(gain.interval if gain else None, bounded(test, said), ceiling=ceiling)


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
    wanted = of_both(max(*options.posts, options.lenders)) + 2 * PER_DAY * MATURES.days + TEST
    made = sandbox_communities(options.communities, wanted, per_day=PER_DAY, bend=options.bend, seed=options.seed)
    judged = made[: options.judged]
    print(f"{len(made)} communities of {wanted:,} posts made in {time.perf_counter() - began:.0f} s", flush=True)
    ceilings = [bounded(community.newest(TEST), community.expected(TEST)) for community in judged]
    highest = np.array([ceiling.estimate for ceiling in ceilings if ceiling])
    print("nobody can pass {:.3f} [{:.3f}, {:.3f}]".format(*interval(highest, options.seed)), flush=True)
    before: dict[tuple[str, int], Doubles] = {}
    for posts in options.posts:
        found: dict[str, list[float]] = defaultdict(list)
        seconds: dict[str, float] = defaultdict(float)
        limits: dict[str, list[str]] = defaultdict(list)
        lendable = [parts(community, options.lenders or posts)[0] for community in made]
        for number, community in enumerate(judged):
            train, validation, test = parts(community, posts)
            lent = lent_to(train, lendable[:number] + lendable[number + 1 :])
            for name in options.predictor:
                predictor = predictor_class(name)(seed=options.seed)
                start = time.process_time()
                predictor.fit(train, validation, lent)
                seconds[name] += time.process_time() - start
                said = predictor.predict(test)
                found[name].append(spearman(test.labels, said) or 0.0)
                limits[name].append(limit_of(test, said, before.get((name, number)), ceilings[number]))
                before[name, number] = said
        print(f"\n{posts:,} posts of each, {len(lent)} lenders of {len(lent[0]):,}")
        for name in options.predictor:
            own = np.array(found[name])
            line = "{:20}{:7.3f} [{:.3f}, {:.3f}]".format(name, *interval(own, options.seed))
            if (alone := PAIRS.get(name)) in found:
                gain = own - np.array(found[alone])
                line += "   {:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(gain, options.seed))
                line += f", {int((gain > 0).sum())} of {len(gain)}"
            print(f"{line}   {seconds[name] / len(own):.1f} s", flush=True)
            if posts != options.posts[0]:
                shown = (f"{limit} {count}" for limit, count in Counter(limits[name]).most_common())
                print(f"{'':20}limited by: {', '.join(shown)}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all, {time.process_time():.0f} of them computed")


if __name__ == "__main__":
    main()

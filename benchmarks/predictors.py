"""What each predictor costs as a community grows: seconds of its fit and the memory it takes, each in a new process.

The community has planted effects (that of the tests), vectors of 1,280 and 384 numbers and all other blocks. It is made
at 2,000 posts; a larger one repeats it in time, every post slightly changed, so that what is measured grows and what
can be learnt stays. Memory is the largest resident set of the process beyond that with the data loaded, the libraries
that the fit imports included (torch: about 600 MB). The Spearman correlation on later posts tells that something was
learnt; that of the planted effects themselves is the ceiling.

Run: `python benchmarks/predictors.py [--posts 2000 20000] [--predictor NAME ...] [--limit 600]`
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.registry import predictor_class, predictor_names
from redpop_assets.testing.planted import make_planted

MADE = 2_000
TEST = 500


def community(posts: int) -> tuple[Dataset, Dataset, Dataset, np.ndarray]:
    """Train and validation part, the latter 15 in 100 of the posts; later posts, and their score without noise."""
    validation = round(0.15 * MADE)
    planted = make_planted(sizes=(MADE - validation, validation, TEST))
    copies = posts // MADE
    return grown(planted.train, copies), grown(planted.validation, copies), planted.test, planted.oracle


def grown(data: Dataset, copies: int) -> Dataset:
    """The posts so many times, every repetition some weeks earlier, with noise on numbers and labels."""
    if copies == 1:
        return data
    span = np.timedelta64(np.ptp(data.created_at) // np.timedelta64(7, "D") + 1, "W")  # hours and weekdays stay
    noise = np.random.default_rng(copies)

    def repeated(block: Block) -> Block:
        spread = (0.1 * block.moments()[1]).astype(np.float32)
        values = np.empty((copies * len(block.values), len(block.columns)), np.float32)
        for copy in range(copies):  # one at a time: all of them together would be the largest thing in memory
            part = values[copy * len(block.values) : (copy + 1) * len(block.values)]
            part[:] = noise.standard_normal(part.shape, np.float32)
            part *= spread
            part += block.values
        return Block(values, block.columns, np.tile(block.present, copies))

    labels = np.tile(data.labels, copies) + noise.normal(0, 0.1, copies * len(data)).astype(np.float32)
    return replace(
        data,
        post_ids=tuple(f"{post_id}.{copy}" for copy in range(copies) for post_id in data.post_ids),
        blocks={name: repeated(block) for name, block in data.blocks.items()},
        created_at=np.concatenate([data.created_at - (copies - 1 - copy) * span for copy in range(copies)]),
        log_score=labels.astype(np.float32),
        captions=data.captions * copies,
        authors=data.authors * copies,
    )


def lent_to(train: Dataset) -> list[Dataset]:
    """What five other communities lend, each with planted effects and networks of its own: work, and no help."""
    found = []
    for number in range(1, 6):
        other = make_planted(seed=number, sizes=(MADE, 1, 1)).train
        ids = tuple(f"{number}.{post_id}" for post_id in other.post_ids)
        other = replace(other, subreddit=f"lender{number}", post_ids=ids).pick(
            {name: block.columns for name, block in train.blocks.items()}
        )
        found.append(other.select(other.created_at <= train.created_at.max()))
    return found


def measured(name: str, posts: int) -> dict[str, float]:
    """Seconds, MB and the Spearman correlations of one predictor, in this process."""
    train, validation, test, oracle = community(posts)
    kind = predictor_class(name)
    train, validation, test = (
        data.without(set(data.blocks) - kind.uses) for data in (train, validation, test)
    )  # as the platform does: a predictor reads its own blocks only
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    others = lent_to(train) if kind.borrows else []
    predictor = kind(seed=7)
    began = time.perf_counter()
    predictor.fit(train, validation, others)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "data": sum(block.values.nbytes for part in (train, validation) for block in part.blocks.values()) / 2**20,
        "spearman": spearman(test.labels, predictor.predict(test)) or 0.0,
        "ceiling": spearman(test.labels, oracle) or 0.0,
    }


def main() -> None:
    """Measure every predictor at every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[MADE], help=f"multiples of {MADE}")
    parser.add_argument("--predictor", nargs="+", default=list(predictor_names()))
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a fit is given up")
    parser.add_argument("--one", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if any(posts < MADE or posts % MADE for posts in options.posts):
        parser.error(f"--posts takes multiples of {MADE}")
    if options.one:
        print(json.dumps(measured(options.predictor[0], options.posts[0])))
        return
    for posts in options.posts:
        print(f"\n{posts:,} posts to learn from")
        print(f"{'predictor':24}{'seconds':>9}{'MB more':>9}{'data MB':>9}{'Spearman':>10}")
        total = 0.0
        for name in options.predictor:
            command = [sys.executable, __file__, "--one", "--posts", str(posts), "--predictor", name]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=options.limit, check=False)
            except subprocess.TimeoutExpired:
                print(f"{name:24} more than {options.limit:.0f} s, the data made included", flush=True)
                continue
            if done.returncode:
                print(f"{name:24} {done.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            total += found["seconds"]
            print(
                f"{name:24}{found['seconds']:9.1f}{found['megabytes']:9.0f}{found['data']:9.0f}{found['spearman']:10.3f}",
                flush=True,
            )
        print(f"{'all':24}{total:9.1f}; ceiling of the Spearman correlation {found['ceiling']:.3f}")


if __name__ == "__main__":
    main()

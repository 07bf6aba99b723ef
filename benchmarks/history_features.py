"""How fast the features about other posts are, beside the least that each of them cannot do without.

Random posts of one community over three years, authors and pictures of very unequal fame. Each row names its limit:

* authors, community, seen before: one `np.lexsort` of the posts by owner and time. A walk through time that sees only
  the past needs the posts in that order, for each owner (author, community, picture) and each kind of event (made,
  matured) anew
* environments: `np.cumsum` of both sets of vectors in float64, without windows, authors or float32 results
* neighbours: the matrix products alone, in the same tiles

Ours and the limit run in turn, the best of the rounds counts. Memory is the peak of what is allocated on top of the
input, from a run of its own.

Run: `python benchmarks/history_features.py [--posts 100000] [--vectors 20000] [--width 384] [--rounds 3]`
"""

import argparse
import os
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from redpop_assets.features.authors import Activity, author_features
from redpop_assets.features.community import community_features
from redpop_assets.features.environments import environments
from redpop_assets.features.neighbours import TILE, neighbour_features
from redpop_assets.features.seen_before import seen_before_features

_WORDS = ["my", "cat", "sunset", "over", "the", "old", "harbour", "i", "found", "this", "[OC]", "after", "rain", "of"]
_LABEL_AGE = np.timedelta64(9, "D")


@dataclass
class Sample:
    """Random posts in random order."""

    post_ids: list[str]
    authors: list[str | None]
    created_at: np.ndarray
    log_score: np.ndarray
    groups: list[str]

    @property
    def matured_at(self) -> np.ndarray:
        """Nine days after the creation."""
        return self.created_at + _LABEL_AGE


def sample(posts: int, random: np.random.Generator) -> Sample:
    """Posts of three years; half of the authors and most pictures come once, some of them hundreds of times."""
    fame = (random.pareto(1.1, posts) * posts / 30).astype(int)
    return Sample(
        post_ids=[f"{number:07x}" for number in random.permutation(posts)],
        authors=[None if number < posts // 1000 else f"{number:032x}" for number in fame],
        created_at=random.integers(1_600_000_000, 1_695_000_000, posts).astype("datetime64[s]"),
        log_score=np.where(random.random(posts) < 0.1, np.nan, random.normal(3, 2, posts)),
        groups=[f"{number:x}" for number in random.integers(0, posts * 2, posts)],
    )


def histories(posts: int, random: np.random.Generator) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Name -> ours and its limit, for what needs no vectors."""
    made = sample(posts, random)
    captions = [" ".join(random.choice(_WORDS, length)) for length in random.integers(2, 20, posts)]
    subreddits = [f"r{number}" for number in random.integers(0, 20, posts)]
    subscribers = np.exp(random.normal(12, 1, posts))
    activity = Activity(made.authors, subreddits, made.created_at)
    times = (made.created_at, made.matured_at, made.log_score)
    owner = np.unique([author or "" for author in made.authors], return_inverse=True)[1]
    seconds = made.created_at.astype(np.int64)

    def limit() -> object:
        return np.lexsort((seconds, owner))

    return {
        "authors": (
            lambda: author_features(made.post_ids, made.authors, *times, captions=captions, activity=activity),
            limit,
        ),
        "community": (
            lambda: community_features(made.post_ids, made.authors, *times, subscribers=subscribers),
            limit,
        ),
        "seen before": (
            lambda: seen_before_features(made.post_ids, subreddits, made.authors, made.groups, *times),
            limit,
        ),
    }


def vectors(
    posts: int, width: int, random: np.random.Generator
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Name -> ours and its limit, for means of vectors and nearest vectors."""
    made = sample(posts, random)
    image, caption = (random.normal(size=(posts, width)).astype(np.float32) for _ in range(2))
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    caption /= np.linalg.norm(caption, axis=1, keepdims=True)

    def walk() -> None:
        for _ in environments(made.post_ids, made.authors, made.created_at, image, caption):
            pass

    def sums() -> None:
        for matrix in (image, caption):
            np.cumsum(matrix, axis=0, dtype=np.float64)

    def products() -> None:
        """As many tiles as the nearest neighbours need: those at and below the diagonal of scores that are mature."""
        here, there = image[: TILE[0]], image[: TILE[1]]
        out = np.empty((len(here), len(there)), dtype=np.float32)
        mature_at = np.sort(made.matured_at[~np.isnan(made.log_score)])
        created_at = np.sort(made.created_at)
        for _ in range(2):
            for first in range(0, posts, TILE[0]):
                last = created_at[min(first + TILE[0], posts) - 1]
                for _ in range(0, int(np.searchsorted(mature_at, last, side="right")), TILE[1]):
                    np.matmul(here, there.T, out=out)

    return {
        "environments": (walk, sums),
        "neighbours": (
            lambda: neighbour_features(
                made.post_ids,
                made.created_at,
                made.matured_at,
                made.log_score,
                image,
                caption,
                groups=made.groups,
            ),
            products,
        ),
    }


def measure(ours: Callable[[], object], limit: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Best seconds of both, in turn, and the peak of the memory that ours allocates (MB)."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, call in enumerate((ours, limit)):
            began = time.perf_counter()
            call()
            best[side] = min(best[side], time.perf_counter() - began)
    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return best[0], best[1], peak


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--vectors", type=int, default=20_000, help="posts with an image and a caption vector")
    parser.add_argument("--width", type=int, default=384, help="of the vectors")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    print(f"{os.cpu_count()} CPUs, numpy {np.__version__}, best of {options.rounds}")
    print(f"{'':14}{'posts':>8}{'seconds':>9}{'posts/s':>9}{'limit':>9}{'ratio':>7}{'peak MB':>9}  limit")
    for posts, calls, named in (
        (options.posts, histories(options.posts, random), "np.lexsort by owner and time, once"),
        (options.vectors, vectors(options.vectors, options.width, random), None),
    ):
        for name, (ours, limit) in calls.items():
            seconds, least, peak = measure(ours, limit, options.rounds)
            of = named or ("np.cumsum of both matrices" if name == "environments" else "the matrix products alone")
            print(
                f"{name:14}{posts:8}{seconds:9.2f}{posts / seconds:9.0f}{least:9.3f}{seconds / least:7.1f}"
                f"{peak:9.0f}  {of}"
            )


if __name__ == "__main__":
    main()

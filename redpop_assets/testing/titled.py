"""Communities of the sandbox as data to learn from, without servers and pictures: what each title is worth is known.

Titles, authors, hours and scores are those of the local Reddit; the features of titles, times and authors are computed
as everywhere. Pictures are not drawn: their vectors are the properties that the community reacts to, with noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from redpop_assets.features.authors import author_features
from redpop_assets.features.captions import caption_features
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.refresh.blocks import make_block
from redpop_assets.sandbox.popularity import IMAGE_PROPERTIES
from redpop_assets.sandbox.world import Post, World
from redpop_assets.testing.planted import block

_PICTURE_WIDTH = 64
_MATURES = timedelta(days=9)


@dataclass(frozen=True)
class Titled:
    """A community in the order of time.

    Attributes:
        train, validation, held_out: labelled posts; those of the last part came after the others.
        fresh: posts after all of them, without labels.
        worth: (k,) what the titles of the fresh posts are worth, in log score.
    """

    train: Dataset
    validation: Dataset
    held_out: Dataset
    fresh: Dataset
    worth: npt.NDArray[np.float64]


def titled_community(
    seed: int,
    encode: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    *,
    sizes: tuple[int, int, int, int] = (600, 100, 200, 100),
    subreddit: str = "pics",
) -> Titled:
    """Make such a community.

    Args:
        seed: of everything.
        encode: makes (n, d) L2-normalised vectors of n titles.
        sizes: posts with a picture in the four parts.
        subreddit: whose taste it is.
    """
    world = World(seed=seed, subreddits=(subreddit,), posts_per_subreddit=sum(sizes), history=timedelta(days=60))
    posts: list[Post] = []
    index = 0
    while len(posts) < sum(sizes):
        post = world.post(subreddit, index)
        index += 1
        if post.looks and post.kind == "image":
            posts.append(post)
    rng = np.random.default_rng(seed)
    created = np.array([int(post.created) for post in posts], dtype="datetime64[s]")
    score = np.array([np.log1p(post.final_score) for post in posts])
    captions, authors = tuple(post.caption.text for post in posts), tuple(post.author for post in posts)
    ids = tuple(post.id for post in posts)
    matured = (created + np.timedelta64(_MATURES)).astype("datetime64[s]")
    past = author_features(ids, authors, created, matured, score, captions=captions)
    data = Dataset(
        subreddit,
        ids,
        {
            "image": block(_pictures(posts, rng)),
            "caption": block(encode(captions)),
            "text": make_block("text", caption_features(captions)),
            "time": make_block("time", timestamp_features(created)),
            "author": make_block("author", past),
        },
        created,
        score.astype(np.float32),
        captions,
        authors,
    )
    part = np.repeat(np.arange(4), sizes)
    train, validation, held_out, fresh = (data.select(part == number) for number in range(4))
    worth = np.array([post.terms["caption"] for post in posts])[part == 3]
    return Titled(train, validation, held_out, fresh, worth)


def _pictures(posts: Sequence[Post], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(n, 64) vectors, L2-normalised: what can be seen, mixed, with noise."""
    seen = np.array(
        [
            [getattr(post.looks[0], name) == value for name, values in IMAGE_PROPERTIES.items() for value in values]
            for post in posts
        ],
        dtype=np.float64,
    )
    vectors = seen @ rng.normal(size=(seen.shape[1], _PICTURE_WIDTH)) + rng.normal(size=(len(posts), _PICTURE_WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)

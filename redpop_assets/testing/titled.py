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
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.refresh.blocks import make_block
from redpop_assets.sandbox.popularity import BEND, IMAGE_PROPERTIES
from redpop_assets.sandbox.world import Post, World
from redpop_assets.testing.planted import block

MATURES = timedelta(days=9)
"""Age at which a score of the sandbox is final."""
_PICTURE_WIDTH = 64
_VISIBLE = sum(map(len, IMAGE_PROPERTIES.values()))


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
    posts = plain_posts(world, subreddit, sum(sizes))
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(_VISIBLE, _PICTURE_WIDTH))
    data = dataset_of(posts, seen(posts, mixing, rng), caption=block(encode([post.caption.text for post in posts])))
    part = np.repeat(np.arange(4), sizes)
    train, validation, held_out, fresh = (data.select(part == number) for number in range(4))
    worth = np.array([post.terms["caption"] for post in posts])[part == 3]
    return Titled(train, validation, held_out, fresh, worth)


@dataclass(frozen=True)
class Told:
    """A community of which everything is known.

    Attributes:
        posts: n with a picture, in the order of time.
        pictures: (n, d) vectors of their pictures.
    """

    posts: Sequence[Post]
    pictures: npt.NDArray[np.float32]

    def newest(self, count: int) -> Dataset:
        """The newest posts, as if there had been none before. Titles have no vectors."""
        return dataset_of(self.posts[-count:], self.pictures[-count:])

    def expected(self, count: int) -> npt.NDArray[np.float64]:
        """(count,) log scores of the newest posts without noise."""
        return np.array([post.expected_log_score for post in self.posts[-count:]])


def sandbox_communities(
    count: int, posts: int, *, per_day: float = 16.0, bend: float = BEND, seed: int = 0
) -> list[Told]:
    """Communities of one sandbox; one network looks at all of their pictures.

    Args:
        count: of communities.
        posts: with a picture in each.
        per_day: posts that a community has a day.
        bend: how far their tastes differ.
        seed: of everything.
    """
    names = tuple(f"community{number:02}" for number in range(count))
    world = World(seed, names, posts, history=timedelta(days=posts / per_day), bend=bend)
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(_VISIBLE, _PICTURE_WIDTH))
    made = [plain_posts(world, name, posts) for name in names]
    return [Told(own, seen(own, mixing, rng)) for own in made]


def plain_posts(world: World, subreddit: str, count: int) -> list[Post]:
    """The first posts of a community that show one picture, in the order of time."""
    posts: list[Post] = []
    index = 0
    while len(posts) < count:
        post = world.post(subreddit, index)
        index += 1
        if post.looks and post.kind == "image":
            posts.append(post)
    return posts


def dataset_of(posts: Sequence[Post], pictures: npt.NDArray[np.float32], **blocks: Block) -> Dataset:
    """Posts of a community with their scores, and what is computed of titles, times and authors everywhere.

    Args:
        posts: n, in the order of time.
        pictures: (n, d) vectors.
        blocks: others, by name.
    """
    created = np.array([int(post.created) for post in posts], dtype="datetime64[s]")
    score = np.array([np.log1p(post.final_score) for post in posts])
    captions, authors = tuple(post.caption.text for post in posts), tuple(post.author for post in posts)
    ids = tuple(post.id for post in posts)
    matured = (created + np.timedelta64(MATURES)).astype("datetime64[s]")
    past = author_features(ids, authors, created, matured, score, captions=captions)
    return Dataset(
        posts[0].subreddit,
        ids,
        {
            "image": block(pictures),
            **blocks,
            "text": make_block("text", caption_features(captions)),
            "time": make_block("time", timestamp_features(created)),
            "author": make_block("author", past),
        },
        created,
        score.astype(np.float32),
        captions,
        authors,
    )


def seen(posts: Sequence[Post], mixing: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(n, d) vectors of pictures, L2-normalised: what can be seen, mixed, with noise.

    Args:
        posts: n with a picture.
        mixing: (properties, d), which the network that looks at them has for all communities.
        rng: of the noise.
    """
    visible = np.array(
        [
            [getattr(post.looks[0], name) == value for name, values in IMAGE_PROPERTIES.items() for value in values]
            for post in posts
        ],
        dtype=np.float64,
    )
    vectors = visible @ mixing + rng.normal(size=(len(posts), mixing.shape[1]))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)

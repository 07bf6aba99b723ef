"""The environment of a post: what its author, or else its community, showed and wrote before.

Zhang et al. ("dual attention") describe a user by the mean of the image features and the mean of the topic vectors of
the user's posts, apparently with the post itself, later posts and test posts among them. Here the means are over
strictly earlier posts. Most authors post once; where an author has too few earlier posts, the recent past of the
community stands in, and the level says so.

A picture that is not there cannot be averaged, and zeros in its place would pull the mean away from every picture. So
a post counts only if both its vectors are there, for both means alike; what cannot be seen of a post itself does not
matter for its own environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.past import (
    Flags,
    Floats,
    History,
    Ints,
    Names,
    fixed,
    floating,
    moments_of,
    places,
)
from redpop_assets.features.vectors import Vectors

CODE_VERSION: Final = "1"
"""Raise it whenever an environment would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = ("level", "posts", "image_mean", "caption_mean")
"""Columns of features.environments that `environments` computes; the last two are vectors."""

AUTHOR, SUBREDDIT, NONE = 0, 1, 2
"""Values of `level`: whose past it is."""

MIN_POSTS: Final = 3
"""Earlier posts that make an author's own environment."""

WINDOW: Final = 500
"""The latest earlier posts that count, of the author as of the community."""

MOST_VALUE: Final = 1024.0
"""Largest magnitude of a vector's component; with it the sums over `WINDOW` posts are exact by a wide margin."""

ROWS_AT_ONCE: Final = 1024

_MOST_WINDOW = 1 << 20


@dataclass(frozen=True)
class Environments:
    """Environments of b posts.

    Attributes:
        rows: (b,) places of the posts in the input.
        level: (b,) float32: `AUTHOR`, `SUBREDDIT` or `NONE`.
        posts: (b,) float32: how many earlier posts the means are over.
        image_mean: (b, d) float32; zeros where there is no environment.
        caption_mean: (b, e) float32; likewise.
    """

    rows: Ints
    level: Floats
    posts: Floats
    image_mean: Floats
    caption_mean: Floats


def environments(
    post_ids: Sequence[str],
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    image_vectors: Floats,
    caption_vectors: Floats,
    *,
    due: Flags | None = None,
    min_posts: int = MIN_POSTS,
    window: int = WINDOW,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Iterator[Environments]:
    """Average what was posted before each post, block by block.

    Needs memory for about 5 * (window + rows_at_once) rows of 8 bytes per component besides the vectors themselves,
    however many posts there are. Sums are exact, so rows never change when later posts are added, and do not depend
    on the order of the input, the size of the blocks, or which rows are due.

    Args:
        post_ids: n ids of the posts of one subreddit.
        authors: n keyed hashes, None where the author is unknown; such posts have the environment of the community.
        created_at: (n,) datetime64, UTC.
        image_vectors: (n, d); rows of NaN where there is no picture or no vector of it.
        caption_vectors: (n, e) embeddings or topic shares of the captions; likewise.
        due: (n,) posts whose environment is wanted; None for all.
        min_posts: earlier posts with both vectors that an author's own environment needs, at least 1.
        window: how many of the latest earlier posts with both vectors count, at least `min_posts`.
        rows_at_once: most rows of a block.

    Yields:
        Each due post once, in no particular order.

    Raises:
        ValueError: lengths differ, a time is missing, a vector is partly missing or has components beyond
            `MOST_VALUE`, or a number is out of its range.
    """
    created = moments_of(created_at)
    wanted = np.ones(len(created), dtype=np.bool_) if due is None else np.asarray(due, dtype=np.bool_)
    if not len(post_ids) == len(authors) == len(created) == len(wanted):
        raise ValueError("post_ids, authors, created_at, vectors and due must have one entry per post")
    vectors = Vectors.of(image_vectors, "image_vectors"), Vectors.of(caption_vectors, "caption_vectors")
    past = EnvironmentPast(post_ids, authors, created, vectors, min_posts, window)
    if rows_at_once < 1:
        raise ValueError(f"rows_at_once must be at least 1, and is {rows_at_once}")
    asked = np.flatnonzero(wanted)
    return (
        replace(block, rows=asked[block.rows])
        for block in past.environments([authors[row] for row in asked.tolist()], created[asked], rows_at_once)
    )


class EnvironmentPast:
    """The posts of a subreddit, prepared for questions about environments. Arguments as of `environments`.

    Args:
        vectors: of pictures and of captions.
    """

    def __init__(
        self,
        post_ids: Sequence[str],
        authors: Sequence[str | None],
        created: Ints,
        vectors: tuple[Vectors, Vectors],
        min_posts: int = MIN_POSTS,
        window: int = WINDOW,
    ) -> None:
        if not len(post_ids) == len(authors) == len(created) == len(vectors[0]) == len(vectors[1]):
            raise ValueError("post_ids, authors, created_at, vectors and due must have one entry per post")
        if not 1 <= min_posts <= window <= _MOST_WINDOW:
            raise ValueError(f"min_posts and window do not fit: 1 <= {min_posts} <= {window}")
        images, captions = vectors
        complete = images.there & captions.there
        for some in vectors:
            if max(some.values.max(initial=0.0), -some.values.min(initial=0.0)) > MOST_VALUE:
                raise ValueError(f"a vector has components beyond {MOST_VALUE:g}; scale the vectors down")
        self._vectors, self._min_posts, self._window = vectors, min_posts, window
        self._names = Names(authors)
        author = self._names.codes(authors)
        rank = places(post_ids, created)
        self._own = History(np.where(complete, author, -1), created + 1, rank)
        self._ours = History(np.where(complete, 0, -1), created + 1, rank)

    @property
    def widths(self) -> tuple[int, int]:
        """Of the means of pictures and of captions."""
        images, captions = self._vectors
        return images.width, captions.width

    def environments(
        self, authors: Sequence[str | None], now: Ints, rows_at_once: int = ROWS_AT_ONCE
    ) -> Iterator[Environments]:
        """The environments of m posts by these authors, made at these moments (epoch seconds); see `environments`."""
        author = self._names.codes(authors)
        everyone = np.zeros_like(author)
        is_own = self._own.until(author, now) - self._own.begin(author) >= self._min_posts
        for past, owner, rows, level in (
            (self._own, author, np.flatnonzero(is_own), AUTHOR),
            (self._ours, everyone, np.flatnonzero(~is_own), SUBREDDIT),
        ):
            end = past.until(owner[rows], now[rows])
            start = np.maximum(past.begin(owner[rows]), end - self._window)
            in_order = np.lexsort((rows, end))
            rows, start, end = rows[in_order], start[in_order], end[in_order]
            for block in _blocks(start, end, rows_at_once, self._window + rows_at_once):
                number = end[block] - start[block]
                image_mean, caption_mean = (
                    _means(each, past.order, start[block], end[block]) for each in self._vectors
                )
                yield Environments(
                    rows=rows[block],
                    level=np.where(number > 0, level, NONE).astype(np.float32),
                    posts=number.astype(np.float32),
                    image_mean=image_mean,
                    caption_mean=caption_mean,
                )


def _blocks(start: Ints, end: Ints, most: int, reach: int) -> Iterator[slice]:
    """Stretches of rows, ascending by `end`: at most `most` rows whose events span at most `reach` positions."""
    first = 0
    while first < len(end):
        behind = int(np.searchsorted(end, start[first] + reach, side="right"))
        last = min(behind, first + most)
        yield slice(first, last)
        first = last


def _means(vectors: Vectors, order: Ints, start: Ints, end: Ints) -> Floats:
    """Mean of the vectors of each stretch of `order`, zeros for empty ones; (b, d) float32."""
    low, high = int(start.min()), int(end.max())
    sums = np.zeros((high - low + 1, vectors.width), dtype=np.int64)
    np.cumsum(fixed(vectors[order[low:high]]), axis=0, out=sums[1:])
    number = np.maximum(end - start, 1)
    mean: Floats = (floating(sums[end - low] - sums[start - low]) / number[:, None]).astype(np.float32)
    return mean


def _of_posts(subjects: Subjects, encoders: Encoders) -> Features:
    past, asked = subjects.past, subjects.asked

    def prepared() -> EnvironmentPast:
        posts = past.posts
        vectors = past.vectors("picture", encoders.image), past.vectors("caption", encoders.caption)
        return EnvironmentPast(posts.post_ids, posts.authors, moments_of(posts.created_at), vectors)

    here = past.kept_as(("environments", encoders.image, encoders.caption), prepared)
    count, (image_width, caption_width) = len(asked), here.widths
    features = {
        "level": np.zeros(count, dtype=np.float32),
        "posts": np.zeros(count, dtype=np.float32),
        "image_mean": np.zeros((count, image_width), dtype=np.float32),
        "caption_mean": np.zeros((count, caption_width), dtype=np.float32),
    }
    for block in here.environments(asked.authors, moments_of(asked.created_at)):
        for name, values in features.items():
            values[block.rows] = getattr(block, name)
    return features


FAMILY: Final = Family(
    "environment",
    "features.environments",
    "post",
    CODE_VERSION,
    _of_posts,
    networks=(("image_encoder", "image"), ("caption_encoder", "caption")),
    made_from=("features.image_embeddings", "features.caption_embeddings"),
    past="community",
    step="picture_history",
    rows_at_once=8 * ROWS_AT_ONCE,  # some 50 MB of means of EfficientNet's and MiniLM's vectors
)

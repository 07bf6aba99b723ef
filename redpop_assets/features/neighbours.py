"""How the posts most like this one did: the nearest earlier posts of the community in the space of an encoder.

Retrieval of similar posts whose fate is known is the idea of SKAPP (AAAI 2025) and its successors. Here it is exact and
past-only: a neighbour was posted in an earlier second and its score was mature when the post was made. Posts that show
the same picture are left out; what those say is in `redpop_assets.features.seen_before`.

Similarities come from matrix products of one fixed shape, padded with zeros where posts run out: then what a product
gives for two posts depends on their places in time alone, and not on how many posts follow. They are rounded to 2^-20
(1e-6) before they are compared, so that copies of one vector are equally near wherever they stand.

Posts that are not made yet are asked about a few at a time, and would fill little of such a tile. Each is a product of
its own: it agrees with that of a stored post but for how the last bit of a float is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Asked, Content, Encoders, Family, Features, Past, Subjects
from redpop_assets.features.past import (
    LONGEST_PAUSE_DAYS,
    SECONDS_PER_DAY,
    Doubles,
    Flags,
    Floats,
    History,
    Ints,
    Moments,
    Names,
    Posts,
    checked_posts,
    moments_of,
    ratio,
)
from redpop_assets.features.vectors import Vectors
from redpop_assets.kept import Recent

CODE_VERSION: Final = "1"
"""Raise it whenever a post would get other neighbours than before."""

MODALITIES: Final = ("image", "caption")
"""What is compared; the columns of each begin with its name."""

STATISTICS: Final[tuple[str, ...]] = (
    "neighbours",
    "has_neighbours",
    "neighbours_mean_log_score",
    "neighbours_weighted_mean_log_score",
    "neighbours_sd_log_score",
    "neighbours_min_log_score",
    "neighbours_max_log_score",
    "neighbours_mean_similarity",
    "neighbours_best_similarity",
    "days_since_nearest",
)
"""What is said of the neighbours in one modality."""

COLUMNS: Final[tuple[str, ...]] = tuple(f"{modality}_{name}" for modality in MODALITIES for name in STATISTICS)
"""Order of the columns of `neighbour_features`; all are scalars."""

NEIGHBOURS: Final = 10

TILE: Final = (1024, 2048)
"""Posts and possible neighbours of one matrix product: 8 MB of similarities. Another tile is another CODE_VERSION."""

SIMILARITY_STEPS: Final = 1 << 20
"""Steps per unit of cosine similarity that are told apart."""

_RANK_BITS = 32  # a key holds the steps of a similarity and, below them, the place in time
_NOBODY = -(1 << 62)
_VECTORS_KEPT = 32  # vectors whose similarities are kept, by 4 bytes for each post: a changed time costs no product
_SAMPLE = 512


@dataclass(frozen=True)
class Nearest:
    """The nearest earlier posts of n posts.

    Attributes:
        rows: (n, k) places of the neighbours in the input, the nearest first; -1 where there are no more.
        similarity: (n, k) cosine similarity, a multiple of 1 / `SIMILARITY_STEPS`; 0 where there is no neighbour.
    """

    rows: Ints
    similarity: Doubles


def neighbour_features(
    post_ids: Sequence[str],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    image_vectors: Floats,
    caption_vectors: Floats,
    *,
    groups: Sequence[str | None] | None = None,
    k: int = NEIGHBOURS,
    due: Flags | None = None,
    tile: tuple[int, int] = TILE,
) -> dict[str, Floats]:
    """Describe the nearest earlier posts, by image and by caption.

    Takes O(n^2 d), almost all of it in matrix products, and, besides the vectors, memory for a few tiles and for a few
    numbers per post. Rows never change when later posts, or scores that had not matured, are added or altered, and do
    not depend on the order of the input or on which rows are due.

    Args:
        post_ids: n ids of the posts of one subreddit.
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: creation plus label age and label window, as in `author_features`.
        log_score: (n,) labels, all on one score scale; NaN for posts without one, which are nobody's neighbours.
        image_vectors: (n, d) of any length; rows of NaN where a post has none. Posts without a vector have no
            neighbours and are none.
        caption_vectors: (n, e); likewise.
        groups: n duplicate groups, None for a post that is alone: posts of one group are no neighbours of each other.
            None: leave nothing out.
        k: number of neighbours, at least 1.
        due: (n,) posts that are wanted; None for all.
        tile: see `TILE`.

    Returns:
        The columns of `COLUMNS`, each (m,) float32 for the m due posts in the order of the input, always finite; for
        each modality:

        * `neighbours` (0 to k) and `has_neighbours` (0 or 1);
        * `neighbours_mean_log_score`; `neighbours_weighted_mean_log_score`, weighted by similarity, opposite ones not
          at all; `neighbours_min_log_score` and `neighbours_max_log_score`; without neighbours, the mean of all scores
          here that were mature, and 0 without any;
        * `neighbours_sd_log_score` (population); without neighbours, that of all scores here that were mature;
        * `neighbours_mean_similarity`, `neighbours_best_similarity`: cosine, -1 to 1; 0 without neighbours;
        * `days_since_nearest`: since the nearest one was made, at most `past.LONGEST_PAUSE_DAYS`, which also stands
          for no neighbour.

    Raises:
        ValueError: lengths differ, a time is missing, a score is no log score, a post matures before it is created, a
            vector is partly missing, or a number is out of its range.
    """
    posts = checked_posts(post_ids, created_at, matured_at, log_score)
    wanted = np.ones(len(posts.created), dtype=np.bool_) if due is None else np.asarray(due, dtype=np.bool_)
    if not len(posts.created) == len(wanted) == (len(posts.created) if groups is None else len(groups)):
        raise ValueError("groups and due must have one entry per post")
    if k < 1 or min(tile) < 1:
        raise ValueError(f"k and the sides of a tile must be at least 1, and are {k} and {tile}")
    names = [None] * len(posts.created) if groups is None else groups
    asked = np.flatnonzero(wanted)
    usual, features = _Usual(posts), {}
    for modality, vectors in zip(MODALITIES, (image_vectors, caption_vectors), strict=True):
        past = VectorPast(posts, Vectors.of(vectors, f"{modality}_vectors"), names)
        nearest = past.of_rows(asked, k, tile)
        features.update(_described(modality, posts, nearest, usual, posts.created[asked]))
    return features


class VectorPast:
    """The vectors of a subreddit by one encoder, prepared for questions about the nearest of them.

    Of equally similar posts the later one comes first, and of posts of one second that with the larger id.

    Args:
        posts: n posts.
        vectors: theirs, of any length; one of zeros counts as none.
        groups: n duplicate groups, as of `neighbour_features`.

    Raises:
        ValueError: there is not one vector, or none, for each post.
    """

    def __init__(self, posts: Posts, vectors: Vectors, groups: Sequence[str | None]) -> None:
        if len(vectors) != len(posts.created):
            raise ValueError("vectors must have one row per post")
        self._posts, self._vectors = posts, vectors
        self._length = vectors.lengths().astype(np.float32)
        has_vector = self._length > 0
        self._in_time = np.argsort(posts.rank)
        self._asking = self._in_time[has_vector[self._in_time]]
        self._candidates = History(np.where(posts.labelled & has_vector, 0, -1), posts.visible_from, posts.rank)
        self._names = Names(groups)
        group = self._names.codes(groups)
        self._group = np.where(np.bincount(group + 1, minlength=1)[group + 1] > 1, group, -1)
        order = self._candidates.order
        self._own, self._own_rank = self._names.codes([groups[row] for row in order]), posts.rank[order]
        self._similar: Recent[bytes, Floats] = Recent(_VECTORS_KEPT)
        self._searched: dict[tuple[int, tuple[int, int]], tuple[Flags, Ints]] = {}

    @property
    def vectors(self) -> Vectors:
        """As they were given."""
        return self._vectors

    @property
    def lengths(self) -> Floats:
        """(n,) Euclidean lengths of the vectors; 0 for those that are missing."""
        return self._length

    def of_rows(self, rows: Ints, k: int = NEIGHBOURS, tile: tuple[int, int] = TILE) -> Nearest:
        """The k nearest of the posts whose score m of the n posts, ascending, could know; each is looked for once."""
        nobody = np.zeros(len(self._posts.created), dtype=np.bool_), np.full((len(self._posts.created), k), _NOBODY)
        known, keys = self._searched.setdefault((k, tile), nobody)
        if not known[rows].all():
            self._search(rows[~known[rows]], known, keys, k, tile)
        return self._nearest(keys[rows])

    def _search(self, rows: Ints, known: Flags, keys: Ints, k: int, tile: tuple[int, int]) -> None:
        """Find the neighbours of some posts, ascending, and of those beside them: their rows of `keys`."""
        reach = self._reach(self._posts.created[self._asking])
        search = _Search(self._vectors, self._length, self._candidates.order, self._group, self._posts.rank, k, tile)
        wanted = np.zeros(len(self._posts.created), dtype=np.bool_)
        wanted[rows] = True
        # Tiles lie at fixed places in time, whether or not all their posts are asked about.
        for first in range(0, len(self._asking), tile[0]):
            some = self._asking[first : first + tile[0]]
            if wanted[some].any():
                keys[some] = search.best(some, reach[first : first + tile[0]])
                known[some] = True
        known[rows] = True  # those without a vector have no neighbours

    def of_others(self, vectors: Floats, groups: Sequence[str | None], now: Ints, k: int = NEIGHBOURS) -> Nearest:
        """The k nearest of the posts whose score m posts that are not among the n could know.

        Takes O(n d) for each different vector that was not asked about of late, and O(n) for each different pair of a
        vector and a group.

        Args:
            vectors: (m, d) theirs; rows of NaN where one has none.
            groups: m duplicate groups.
            now: (m,) epoch seconds of their creation.
            k: number of neighbours.
        """
        keys = np.full((len(now), k), _NOBODY)
        reach, group = self._reach(now), self._names.codes(groups)
        length = Vectors.of(vectors, "vectors").lengths().astype(np.float32)
        there = np.flatnonzero((length > 0) & (reach > 0))
        units = {row: (vectors[row] / length[row]).astype(np.float32).tobytes() for row in there.tolist()}
        similar = self._similar.all(units.values(), self._similarities)
        together: dict[tuple[bytes, int], list[int]] = {}
        for row, unit in units.items():
            together.setdefault((unit, int(group[row])), []).append(row)
        for (unit, own), rows in together.items():
            keys[rows] = self._best(similar[unit], own, reach[rows], k)
        return self._nearest(keys)

    def _reach(self, now: Ints) -> Ints:
        """How many candidates are known at some moments."""
        return self._candidates.until(np.zeros(len(now), dtype=np.int64), now)

    def _similarities(self, units: Sequence[bytes]) -> list[Floats]:
        """Of vectors of length 1 to each of the candidates, in their order: (c,) each."""
        order = self._candidates.order
        length = self._length[order]
        places, values = self._vectors.places[order], self._vectors.values
        # One by one, so that none depends on which are asked about together; and over all vectors as they lie, which
        # are not copied then.
        return [(values @ np.frombuffer(unit, dtype=np.float32))[places] / length for unit in units]

    def _best(self, similar: Floats, group: int, reach: Ints, k: int) -> Ints:
        """Keys (b, k), descending, of the best candidates of b posts with one vector; each has its first ones."""
        most, least = int(reach.max()), int(reach.min())
        similar = similar[:most]
        if group >= 0:
            similar = np.where(self._own[:most] == group, np.float32(-np.inf), similar)
        threshold = np.finfo(np.float32).min
        if least > k:
            # The k-th best of what all may have is at most that of what each may have.
            threshold = np.maximum(
                np.partition(similar[:least], least - k)[least - k] - 1.5 / SIMILARITY_STEPS, threshold
            )
        along = np.flatnonzero(similar >= threshold)
        steps = np.rint(similar[along].astype(np.float64) * SIMILARITY_STEPS).astype(np.int64)
        keys = (steps << _RANK_BITS) + self._own_rank[along]
        order = np.argsort(-keys)
        along, keys = along[order], keys[order]
        best = np.full((len(reach), k), _NOBODY)
        for row, known in enumerate(reach):
            own = keys[along < known][:k]
            best[row, : len(own)] = own
        return best

    def _nearest(self, keys: Ints) -> Nearest:
        found = keys != _NOBODY
        places = np.where(found, keys & ((1 << _RANK_BITS) - 1), -1)
        return Nearest(
            rows=np.where(found, np.append(self._in_time, -1)[places], -1),
            similarity=np.where(found, (keys >> _RANK_BITS) / SIMILARITY_STEPS, 0.0),
        )


class _Search:
    """The products of one set of vectors with itself, and the best of each row so far."""

    def __init__(
        self,
        vectors: Vectors,
        length: Floats,
        candidates: Ints,
        group: Ints,
        rank: Ints,
        k: int,
        tile: tuple[int, int],
    ) -> None:
        self._vectors, self._length = vectors, length
        self._candidates, self._group, self._rank, self._k = candidates, group, rank, k
        width = vectors.width
        self._here = np.zeros((tile[0], width), dtype=np.float32)
        self._there = np.zeros((tile[1], width), dtype=np.float32)
        self._similarity = np.zeros(tile, dtype=np.float32)

    def best(self, rows: Ints, reach: Ints) -> Ints:
        """Keys (b, k), descending, of the best candidates of b rows; row i may have the first reach[i], ascending."""
        self._load(self._here, rows)
        best = np.full((len(rows), self._k), _NOBODY)
        width = len(self._there)
        for first in range(0, int(reach[-1]), width):
            candidates = self._candidates[first : first + width]
            self._load(self._there, candidates)
            np.matmul(self._here, self._there.T, out=self._similarity)
            similarity = self._similarity[: len(rows), : len(candidates)]
            self._leave_out(similarity, rows, candidates, reach - first)
            across, along = self._promising(similarity, best)
            steps = np.rint(similarity[across, along].astype(np.float64) * SIMILARITY_STEPS).astype(np.int64)
            best = _merged(best, across, (steps << _RANK_BITS) + self._rank[candidates[along]])
        return best

    def _load(self, side: Floats, rows: Ints) -> None:
        side[: len(rows)] = self._vectors[rows]
        side[: len(rows)] /= self._length[rows, None]
        side[len(rows) :] = 0.0

    def _leave_out(self, similarity: Floats, rows: Ints, candidates: Ints, reach: Ints) -> None:
        """Make what a row must not have infinitely unlike: what it cannot know, and its own picture."""
        if reach[0] < len(candidates):
            short = np.flatnonzero(reach < len(candidates))
            some = similarity[short]
            some[np.arange(len(candidates)) >= reach[short, None]] = -np.inf
            similarity[short] = some
        own, theirs = self._group[rows], self._group[candidates]
        shared = np.flatnonzero((own >= 0) & np.isin(own, theirs))
        if len(shared):
            some = similarity[shared]
            some[own[shared, None] == theirs] = -np.inf
            similarity[shared] = some

    def _promising(self, similarity: Floats, best: Ints) -> tuple[Ints, Ints]:
        """Where a similarity may be among the k best of its row: rows and columns."""
        worst = best[:, -1]
        # Three quarters of a step lower: what rounds to an equal step must not be lost.
        threshold = np.where(worst == _NOBODY, -np.inf, ((worst >> _RANK_BITS) - 0.75) / SIMILARITY_STEPS)
        if similarity.shape[1] > self._k and (worst == _NOBODY).all():
            # The k-th best of some is at most the k-th best of all, and to sort all would take as long as the product.
            some = similarity[:, : max(_SAMPLE, self._k)]
            kth = np.partition(some, some.shape[1] - self._k, axis=1)[:, -self._k]
            threshold = kth - 1.5 / SIMILARITY_STEPS
        threshold = np.maximum(threshold, np.finfo(np.float32).min).astype(np.float32)
        return np.divmod(np.flatnonzero(similarity >= threshold[:, None]), similarity.shape[1])


def _merged(best: Ints, across: Ints, keys: Ints) -> Ints:
    """The k largest keys of each row, descending: of the (b, k) so far and of new ones with their rows."""
    if not len(keys):
        return best
    touched = np.unique(across)
    rows = np.concatenate([np.repeat(touched, best.shape[1]), across])
    both = np.concatenate([best[touched].ravel(), keys])
    order = np.lexsort((-both, rows))
    begin = np.searchsorted(rows[order], touched)
    merged = best.copy()
    merged[touched] = both[order[begin[:, None] + np.arange(best.shape[1])]]
    return merged


class _Usual:
    """All scores that were mature at any moment."""

    def __init__(self, posts: Posts) -> None:
        everyone = np.zeros_like(posts.created)
        self._mature = History(np.where(posts.labelled, everyone, -1), posts.visible_from, posts.rank)
        self._moments = Moments.of(self._mature, posts.scores)

    def at(self, now: Ints) -> tuple[Doubles, Doubles]:
        """Their mean and standard deviation; 0 without any."""
        everyone = np.zeros_like(now)
        start, end = self._mature.begin(everyone), self._mature.until(everyone, now)
        return self._moments.mean(start, end), np.sqrt(ratio(self._moments.scatter(start, end), end - start))


def _described(modality: str, posts: Posts, nearest: Nearest, usual: _Usual, now: Ints) -> dict[str, Floats]:
    """The columns of a modality for m posts made at these moments; `posts` are those of the past."""
    found = nearest.rows >= 0
    number = found.sum(axis=1)
    scores = np.where(found, np.append(posts.scores, 0.0)[nearest.rows], 0.0)
    weights = np.maximum(nearest.similarity, 0.0)
    mean_here, sd_here = usual.at(now)
    mean = ratio(_sum(scores), number, mean_here)
    weighted = ratio(_sum(weights * scores), _sum(weights), mean)
    variance = ratio(_sum(np.where(found, (scores - mean[:, None]) ** 2, 0.0)), number)
    any_one = number > 0
    nearest_at = np.append(posts.created, 0)[nearest.rows[:, 0]]
    since = np.minimum((now - nearest_at) / SECONDS_PER_DAY, LONGEST_PAUSE_DAYS)
    described = {
        "neighbours": number,
        "has_neighbours": any_one,
        "neighbours_mean_log_score": mean,
        "neighbours_weighted_mean_log_score": weighted,
        "neighbours_sd_log_score": np.where(any_one, np.sqrt(variance), sd_here),
        "neighbours_min_log_score": np.where(any_one, np.where(found, scores, np.inf).min(axis=1), mean_here),
        "neighbours_max_log_score": np.where(any_one, np.where(found, scores, -np.inf).max(axis=1), mean_here),
        "neighbours_mean_similarity": ratio(_sum(nearest.similarity), number),
        "neighbours_best_similarity": nearest.similarity[:, 0],
        "days_since_nearest": np.where(any_one, since, LONGEST_PAUSE_DAYS),
    }
    return {f"{modality}_{name}": np.asarray(described[name], dtype=np.float32) for name in STATISTICS}


def _sum(values: Doubles) -> Doubles:
    """Sums over the k neighbours, the nearest first, in an order that the number of posts does not change."""
    total = np.zeros(len(values))
    for neighbour in range(values.shape[1]):
        total += values[:, neighbour]
    return total


def contents(encoders: Encoders) -> tuple[tuple[Content, str], ...]:
    """What is compared, and by which encoder, in the order of `MODALITIES`."""
    return ("picture", encoders.image), ("caption", encoders.caption)


def posts_here(past: Past) -> Posts:
    """The posts of a past, checked and in order; to be kept there."""
    posts = past.posts
    return checked_posts(posts.post_ids, posts.created_at, posts.matured_at, posts.log_score)


def vectors_here(past: Past, content: Content, encoder: str) -> VectorPast:
    """The vectors of a past by an encoder, prepared once."""

    def prepared() -> VectorPast:
        return VectorPast(past.kept(posts_here), past.vectors(content, encoder), past.posts.groups)

    return past.kept_as(("neighbours", content, encoder), prepared)


def nearest_here(past: Past, asked: Asked, content: Content, encoder: str) -> Nearest:
    """The posts of a past that are nearest to those that are asked about, by an encoder."""
    here = vectors_here(past, content, encoder)
    if asked.rows is not None:
        return here.of_rows(asked.rows)
    return here.of_others(asked.vectors(content, encoder), asked.groups, moments_of(asked.created_at))


def _usual_here(past: Past) -> _Usual:
    return _Usual(past.kept(posts_here))


def _of_posts(subjects: Subjects, encoders: Encoders) -> Features:
    past, asked = subjects.past, subjects.asked
    posts, usual, now = past.kept(posts_here), past.kept(_usual_here), moments_of(asked.created_at)
    features: dict[str, Floats] = {}
    for modality, (content, encoder) in zip(MODALITIES, contents(encoders), strict=True):
        nearest = nearest_here(past, asked, content, encoder)
        features |= _described(modality, posts, nearest, usual, now)
    return features


FAMILY: Final = Family(
    "neighbours",
    "features.neighbours",
    "post",
    CODE_VERSION,
    _of_posts,
    networks=(("image_encoder", "image"), ("caption_encoder", "caption")),
    made_from=("core.labels", "core.duplicates", "features.image_embeddings", "features.caption_embeddings"),
    past="community",
    step="picture_history",
    content={"picture": "image_", "caption": "caption_"},
    export="near",
    note="Exact, by comparing every post with every earlier one.",
)

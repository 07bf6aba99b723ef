"""The posts most like this one, one by one: what each was like, when it was, and how it stood then.

`redpop_assets.features.neighbours` says how they did together. A system that learns which of them are worth listening
to (SKAPP, AAAI 2025, and its relatives MMRA and RAGTrans) has to see them apart. They are the same posts, found in the
same way: the nearest by picture and the nearest by caption, of strictly earlier seconds, with scores that were mature
when this post was made, of other pictures than its own. Which ones they are is not kept here, so that nothing of a
table names another post: `nearest_posts` finds them again, for a stored post as for a draft.

What a neighbour was like is told by sketches: `SKETCH` sums of the components of its vector under fixed signs (Alon,
Matias and Szegedy 1996; Achlioptas 2003), which keep lengths and angles roughly, cost a fraction of the vector and are
the same whatever other posts there are. Vectors are rounded to 2^-20 before they are added up in double precision, so
that the sums are exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.neighbours import CODE_VERSION as NEIGHBOURS_VERSION
from redpop_assets.features.neighbours import (
    MODALITIES,
    NEIGHBOURS,
    SIMILARITY_STEPS,
    TILE,
    Nearest,
    VectorPast,
    contents,
    nearest_here,
    posts_here,
    vectors_here,
)
from redpop_assets.features.past import (
    SECONDS_PER_DAY,
    Doubles,
    Flags,
    Floats,
    Ints,
    Level,
    Names,
    Posts,
    checked_posts,
    moments_of,
    ratio,
)
from redpop_assets.features.vectors import Vectors

CODE_VERSION: Final = f"1.{NEIGHBOURS_VERSION}"
"""Raise its first number whenever a post would get other numbers than before."""

SKETCH: Final = 16
"""Numbers that tell of a vector."""

LEVEL: Final = "level"

PLACES: Final = len(MODALITIES) * NEIGHBOURS
"""Neighbours that there can be: those by picture, the nearest first, then those by caption."""

OF_EACH: Final = ("similarity", "standing", "days", "same_author")
"""What is said of each neighbour in one modality: columns that begin with its name, and hold `NEIGHBOURS` numbers."""

BOTH: Final = {modality: f"both_{modality}" for modality in MODALITIES}
"""Modality -> how like the post its neighbours are in the other one; these columns follow from picture and caption."""

SKETCHES: Final = ("picture", "caption")
"""Likewise with `SKETCH` numbers for each neighbour: of its picture, and of its caption."""

COLUMNS: Final[tuple[str, ...]] = (
    LEVEL,
    *(f"{modality}_{name}" for modality in MODALITIES for name in (*OF_EACH, *SKETCHES)),
    *BOTH.values(),
)
"""Columns of `retrieved_features`: a number, then vectors."""

ROWS_AT_ONCE: Final = 4096


def retrieved_features(
    post_ids: Sequence[str],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    log_score: npt.NDArray[np.floating],
    authors: Sequence[str | None],
    image_vectors: Floats,
    caption_vectors: Floats,
    *,
    groups: Sequence[str | None] | None = None,
    due: Flags | None = None,
) -> dict[str, Floats]:
    """Describe each of the nearest earlier posts, by image and by caption.

    Takes O(n^2 d) as `neighbour_features`. Rows never change when later posts, or scores that had not matured, are
    added or altered, and do not depend on the order of the input or on which rows are due.

    Args:
        post_ids: n ids of the posts of one subreddit.
        created_at, matured_at, log_score, image_vectors, caption_vectors, groups, due: as of `neighbour_features`.
        authors: n keyed hashes, None where unknown.

    Returns:
        For the m due posts in the order of the input, float32, always finite:

        * `level` (m,): the mean of the log scores here that matured in the `past.LEVEL_DAYS` days before, or, where
          there are none, of all that had matured; 0 without any;

        and for each modality (m, k), k = `NEIGHBOURS`, the nearest first, all 0 where there is no neighbour:

        * `similarity`: cosine by this modality, and `both_<modality>` by the other one, 0 without;
        * `standing`: its log score less the level when it was made, or, where none had matured by then, less that of
          the post that asks; `days`: from its creation to that of the post, above 0 where there is a neighbour;
        * `same_author`: 1 if both are known to be by one author;

        and (m, k * `SKETCH`): `picture` and `caption`, sketches of its unit vectors, one after the other; 0 without.

    Raises:
        ValueError: as `neighbour_features`.
    """
    posts = checked_posts(post_ids, created_at, matured_at, log_score)
    wanted = np.ones(len(posts.created), dtype=np.bool_) if due is None else np.asarray(due, dtype=np.bool_)
    if not len(posts.created) == len(authors) == len(wanted):
        raise ValueError("authors and due must have one entry per post")
    names = [None] * len(posts.created) if groups is None else groups
    asked = np.flatnonzero(wanted)
    given = dict(zip(MODALITIES, (image_vectors, caption_vectors), strict=True))
    pasts = [VectorPast(posts, Vectors.of(some, f"{modality}_vectors"), names) for modality, some in given.items()]
    return RetrievedPast(posts, authors, pasts).features(
        [authors[row] for row in asked.tolist()],
        posts.created[asked],
        [past.vectors[asked] for past in pasts],
        [past.of_rows(asked) for past in pasts],
    )


class RetrievedPast:
    """The posts of a subreddit, prepared to be described as neighbours.

    Args:
        posts: n posts.
        authors: n keyed hashes.
        vectors: of pictures and of captions.
    """

    def __init__(self, posts: Posts, authors: Sequence[str | None], vectors: Sequence[VectorPast]) -> None:
        self._vectors, self._level, self._names = vectors, Level(posts), Names(authors)
        # One more than there are, which is nobody: where no neighbour is.
        self._created, self._scores = np.append(posts.created, 0), np.append(posts.scores, 0.0)
        self._standings = np.append(self._level.standings(), 0.0)
        self._authors = np.append(self._names.codes(authors), -1)
        self._sketches = [_sketches(past) for past in vectors]

    def features(
        self, authors: Sequence[str | None], now: Ints, vectors: Sequence[Floats], nearest: Sequence[Nearest]
    ) -> dict[str, Floats]:
        """The columns of `COLUMNS` of m posts.

        Args:
            authors: m keyed hashes.
            now: (m,) epoch seconds of their creation.
            vectors: (m, d) of their pictures, and of their captions.
            nearest: their neighbours by pictures, and by captions.
        """
        level = self._level.at(now, 0.0)
        found: dict[str, npt.NDArray[np.floating]] = {LEVEL: level}
        author = self._names.codes(authors)
        for modality, near, other in zip(MODALITIES, nearest, (1, 0), strict=True):
            there = near.rows >= 0
            standings = self._standings[near.rows]
            against_now = self._scores[near.rows] - level[:, None]
            said: Mapping[str, npt.NDArray[np.floating]] = {
                "similarity": near.similarity,
                "standing": np.where(np.isnan(standings), against_now, standings),
                "days": (now[:, None] - self._created[near.rows]) / SECONDS_PER_DAY,
                "same_author": (author[:, None] >= 0) & (author[:, None] == self._authors[near.rows]),
            }
            found |= {f"{modality}_{name}": np.where(there, said[name], 0.0) for name in OF_EACH}
            found[BOTH[modality]] = self._likeness(self._vectors[other], vectors[other], near.rows)
            for name, sketches in zip(SKETCHES, self._sketches, strict=True):
                drawn = np.where(there[..., None], sketches[near.rows], np.float32(0.0))
                found[f"{modality}_{name}"] = drawn.reshape(len(now), NEIGHBOURS * SKETCH)
        return {name: np.asarray(found[name], dtype=np.float32) for name in COLUMNS}

    def _likeness(self, past: VectorPast, vectors: Floats, rows: Ints) -> Doubles:
        """(m, k) cosines of m vectors to those of their neighbours, rounded as similarities are; 0 where one lacks."""
        found = np.zeros(rows.shape)
        length = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
        known = np.isfinite(length) & (length > 0)
        for place in range(rows.shape[1]):
            some = np.flatnonzero(known & (rows[:, place] >= 0))
            some = some[past.lengths[rows[some, place]] > 0]
            theirs = rows[some, place]
            # Row by row: a product of matrices rounds as its shape has it.
            products = (vectors[some].astype(np.float64) * past.vectors[theirs]).sum(axis=1)
            cosine = ratio(products, length[some] * past.lengths[theirs])
            found[some, place] = np.rint(cosine * SIMILARITY_STEPS) / SIMILARITY_STEPS
        return found


def _sketches(past: VectorPast) -> Floats:
    """(n + 1, SKETCH) of the unit vectors; zeros where there is none, and in the last row, which is nobody's."""
    width = past.vectors.width
    bits = np.frombuffer(hashlib.shake_256(b"sketches of neighbours").digest(width * SKETCH // 8), dtype=np.uint8)
    signs = np.unpackbits(bits).reshape(width, SKETCH) * 2.0 - 1.0
    found = np.zeros((len(past.vectors) + 1, SKETCH), dtype=np.float32)
    for first in range(0, len(past.vectors), TILE[1]):
        rows = first + np.flatnonzero(past.lengths[first : first + TILE[1]] > 0)
        units = past.vectors[rows].astype(np.float64) / past.lengths[rows, None]
        found[rows] = (np.rint(units * SIMILARITY_STEPS) @ signs) / SIMILARITY_STEPS
    return found


def nearest_posts(subjects: Subjects, encoders: Encoders) -> list[list[str | None]]:
    """Ids of the neighbours that the features of m posts, or drafts, tell of, in the order of their columns.

    Returns:
        For each post `PLACES` ids; None where there is no neighbour.
    """
    past, asked = subjects.past, subjects.asked
    rows = np.hstack([nearest_here(past, asked, *content).rows for content in contents(encoders)])
    ids = past.posts.post_ids
    return [[ids[row] if row >= 0 else None for row in some] for some in rows.tolist()]


def _of_posts(subjects: Subjects, encoders: Encoders) -> Features:
    past, asked = subjects.past, subjects.asked

    def prepared() -> RetrievedPast:
        vectors = [vectors_here(past, *content) for content in contents(encoders)]
        return RetrievedPast(past.kept(posts_here), past.posts.authors, vectors)

    here = past.kept_as(("retrieved", encoders.image, encoders.caption), prepared)
    return here.features(
        asked.authors,
        moments_of(asked.created_at),
        [asked.vectors(*content) for content in contents(encoders)],
        [nearest_here(past, asked, *content) for content in contents(encoders)],
    )


FAMILY: Final = Family(
    "retrieved",
    "features.retrieved",
    "post",
    CODE_VERSION,
    _of_posts,
    networks=(("image_encoder", "image"), ("caption_encoder", "caption")),
    made_from=("core.labels", "core.duplicates", "features.image_embeddings", "features.caption_embeddings"),
    past="community",
    compared=False,  # features.neighbours is, which says of the same posts what they have in common
    content={"picture": ("image_", "both_"), "caption": ("caption_", "both_")},
    rows_at_once=ROWS_AT_ONCE,  # some 20 MB of sketches
    optional=True,  # 3 kB a post, for variants that are not trained by default
    note="Of the same neighbours as features.neighbours.",
)

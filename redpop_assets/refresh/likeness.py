"""Past posts that are shown beside a draft: what looks or sounds like it, and what showed its very picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.features.family import Content, Floats
from redpop_assets.features.vectors import Vectors
from redpop_assets.storage.rows import Readable

_SAMPLED = 256
_LEAST_ROWS = 20
_COPY = 0.999

_SHOWN = """
SELECT p.post_id, p.subreddit, p.caption AS title, p.created_at, i.image_sha256, l.score, l.percentile
FROM core.posts AS p
LEFT JOIN core.primary_images AS i USING (post_id)
LEFT JOIN core.labels AS l USING (post_id)
"""


@dataclass(frozen=True)
class PastPost:
    """A stored post that is shown beside a draft.

    Attributes:
        post_id: base36 id.
        subreddit: in lower case.
        title: by a stranger: text, whatever is in it.
        score: its label in points; None while it has none.
        percentile: share of the labelled posts of its community that scored less; None without a label.
        created_at: UTC.
        image_sha256: its first picture; None without one.
        similarity: cosine to the draft; None where it is the same picture.
        alike: what is alike: picture or caption.
    """

    post_id: str
    subreddit: str
    title: str
    score: int | None
    percentile: float | None
    created_at: datetime
    image_sha256: str | None
    similarity: float | None
    alike: Content


def nearest(
    vectors: Vectors, own: Floats, most: int, among: npt.NDArray[np.bool_] | None = None
) -> list[tuple[int, float]]:
    """The posts that are most like a vector, and their cosines, the most alike first.

    Args:
        vectors: L2-normalised.
        own: (d,) L2-normalised.
        most: how many at most.
        among: (n,) rows that count; None for all.
    """
    if len(own) != vectors.width or not np.isfinite(own).all():
        return []
    rows, likeness = vectors.rows, vectors.values @ own
    if among is not None:
        rows, likeness = rows[among[rows]], likeness[among[rows]]
    number = min(most, len(rows))
    if not number:
        return []
    found = np.argpartition(-likeness, number - 1)[:number]
    found = found[np.lexsort((found, -likeness[found]))]
    return [(int(rows[place]), float(likeness[place])) for place in found]


def usual_likeness(vectors: Vectors) -> float | None:
    """The likeness to the nearest other row that 19 of 20 rows reach; of at most `_SAMPLED` of them, spread evenly.

    Copies, such as reposts, count as one.

    Args:
        vectors: L2-normalised.

    Returns:
        A cosine; None with fewer than 20 rows.
    """
    there = vectors.values
    if len(there) < _LEAST_ROWS:
        return None
    sample = there[np.unique(np.linspace(0, len(there) - 1, min(_SAMPLED, len(there))).round().astype(np.intp))]
    likeness = sample @ there.T
    likeness[likeness > _COPY] = -1.0
    return float(np.quantile(likeness.max(axis=1), 0.05))


def shown(warehouse: Readable, likeness: Sequence[tuple[str, float]], alike: Content) -> tuple[PastPost, ...]:
    """Posts as they are shown, in the order that is given.

    Args:
        warehouse: where they are; one that is not there any more is left out.
        likeness: post ids, and how like the draft each is.
        alike: in what.
    """
    given = pa.table({"post_id": pa.array([post_id for post_id, _ in likeness], pa.string())})
    with warehouse.read() as reader:
        rows = reader.query(f"{_SHOWN} WHERE p.post_id IN (SELECT post_id FROM wanted_posts)", wanted_posts=given)
    known = {row["post_id"]: row for row in rows.to_pylist()}
    return tuple(
        PastPost(**known[post_id], similarity=similarity, alike=alike)
        for post_id, similarity in likeness
        if post_id in known
    )


def with_picture(warehouse: Readable, group: str, most: int) -> tuple[PastPost, ...]:
    """The posts of a duplicate group, of whatever community: those that showed this very picture, the newest first.

    Args:
        warehouse: where they are.
        group: as in core.duplicates.
        most: how many at most.
    """
    rows: list[dict[str, Any]] = warehouse.query(
        f"{_SHOWN} JOIN core.duplicates AS d USING (post_id) WHERE d.duplicate_group = $group "
        "ORDER BY p.created_at DESC, p.post_id LIMIT $most",
        {"group": group, "most": most},
    ).to_pylist()
    return tuple(PastPost(**row, similarity=None, alike="picture") for row in rows)

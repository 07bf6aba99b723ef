"""What was known of an author's standing in a community at the moment of a post: earlier posts, and which were removed.

For the predictor of removals, which looks at all image posts that were ever seen, removed ones included; what
`redpop_assets.features.authors` tells is of those that stand. A post sees another one from the second after its
creation, and a removal from the second after the reading that first showed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redpop_assets.arrays import np, npt

COLUMNS: Final = (
    "is_first_post",
    "log_past_posts",
    "log_past_removed",
    "past_removed_share",
    "log_hours_since_first",
    "log_hours_since_last",
)
"""Order of the columns of `author_standing`."""

SHRINKAGE: Final = 2.0
"""Weight of the community's past in the share of removed posts: after so many posts the author is half of it."""

_SECONDS: Final = 1 << 40  # more than any time has
_DECADE_OF_HOURS: Final = 87_660.0


def author_standing(
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    removed_seen_at: npt.NDArray[np.datetime64],
    wanted: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:
    """Describe the authors of some of the n posts of a community, each as of its post.

    Args:
        authors: n keyed hashes; None where unknown.
        created_at: (n,) datetime64, UTC.
        removed_seen_at: (n,) datetime64, UTC: when a post was first seen removed; NaT where it never was.
        wanted: (m,) row numbers.

    Returns:
        (m, 6) float64, the columns of `COLUMNS`; NaN rows where the author is not known.

    Raises:
        ValueError: lengths differ.
    """
    if not len(authors) == len(created_at) == len(removed_seen_at):
        raise ValueError("authors, created_at and removed_seen_at must have one entry per post")
    made = np.asarray(created_at, dtype="datetime64[s]").astype(np.int64)
    removed = np.asarray(removed_seen_at, dtype="datetime64[s]")
    seen = ~np.isnat(removed)
    numbers: dict[str, int] = {}
    code = np.array([-1 if one is None else numbers.setdefault(one, len(numbers)) for one in authors], dtype=np.int64)
    known = code >= 0

    posts = np.sort(code[known] * _SECONDS + made[known])
    removals = np.sort(code[known & seen] * _SECONDS + removed[known & seen].astype(np.int64))
    here, when = code[wanted], made[wanted]
    start, now = here * _SECONDS, here * _SECONDS + when
    first = np.searchsorted(posts, start, "left")
    end = np.searchsorted(posts, now, "left")
    past = (end - first).astype(np.float64)
    down = (np.searchsorted(removals, now, "left") - np.searchsorted(removals, start, "left")).astype(np.float64)

    # Of everybody, those without a name included.
    all_posts, all_removals = np.sort(made), np.sort(removed[seen].astype(np.int64))
    usual = (np.searchsorted(all_removals, when, "left") + 0.5) / (np.searchsorted(all_posts, when, "left") + 10.0)
    share = (down + SHRINKAGE * usual) / (past + SHRINKAGE)

    def hours_since(place: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Since a post of the author; a decade where there is none."""
        there = past > 0
        hours = np.full(len(wanted), _DECADE_OF_HOURS)
        hours[there] = (now[there] - posts[place[there]]) / 3600.0
        logged: npt.NDArray[np.float64] = np.log1p(hours)
        return logged

    columns = (
        (past == 0).astype(np.float64),
        np.log1p(past),
        np.log1p(down),
        share,
        hours_since(first),
        hours_since(end - 1),
    )
    found = np.column_stack(columns)
    found[here < 0] = np.nan
    return found

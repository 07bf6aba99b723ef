"""The posts of a community, or of all, as features about other posts need them: who, where, when, and how it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.storage.rows import Readable, Reader

# Labels of one score scale per community, that of most: scores before and after December 2016 never meet.
SCALES: Final = """scales AS (
    SELECT subreddit, score_scale FROM core.labels GROUP BY subreddit, score_scale
    QUALIFY row_number() OVER (PARTITION BY subreddit ORDER BY count(*) DESC, score_scale) = 1
)"""
"""The common table expression `scales`: the score scale of each community."""

_POSTS = f"""
WITH {SCALES}
SELECT p.post_id, p.subreddit, p.author, p.created_at,
    CASE WHEN $captions_of IS NULL OR p.subreddit = $captions_of THEN left(p.caption, {LONGEST_CAPTION}) ELSE '' END
        AS caption,
    d.duplicate_group, l.log_score
FROM core.posts AS p
LEFT JOIN core.duplicates AS d USING (post_id)
LEFT JOIN scales AS s ON s.subreddit = p.subreddit
LEFT JOIN core.labels AS l ON l.post_id = p.post_id AND l.score_scale = s.score_scale
WHERE $subreddit IS NULL OR p.subreddit = $subreddit ORDER BY p.post_id
"""
_SUBSCRIBERS = """
SELECT
    CASE WHEN isfinite(members) THEN members END AS subscribers,
    discovered_at
FROM (
    -- The JSON is read where it may matter: it is almost all that the warehouse holds.
    SELECT a.position, s.discovered_at,
        CASE WHEN $since IS NULL OR greatest(s.discovered_at, p.created_at + INTERVAL 1 SECOND) >= $since
            THEN TRY_CAST(s.json->>'subreddit_subscribers' AS DOUBLE) END AS members
    FROM asked_posts AS a LEFT JOIN core.posts AS p USING (post_id) LEFT JOIN raw.submissions AS s USING (post_id)
) ORDER BY position
"""


@dataclass(frozen=True)
class History:
    """n posts in the order of their ids.

    Attributes:
        post_ids: base36 ids.
        subreddits: communities, in lower case.
        authors: keyed hashes, None where unknown.
        captions: titles.
        groups: canonical post of the posts that show the same picture; None where nobody has looked yet.
        created_at: (n,) datetime64[s], UTC.
        matured_at: (n,) datetime64[s], UTC: when the label of a post that is read on time is final.
        log_score: (n,) labels of the score scale that most labels of the community have; NaN without one.
    """

    post_ids: Sequence[str]
    subreddits: Sequence[str]
    authors: Sequence[str | None]
    captions: Sequence[str]
    groups: Sequence[str | None]
    created_at: npt.NDArray[np.datetime64]
    matured_at: npt.NDArray[np.datetime64]
    log_score: npt.NDArray[np.float64]

    @classmethod
    def read(
        cls,
        warehouse: Reader | Readable,
        subreddit: str | None,
        *,
        matured_after: timedelta,
        captions_of: str | None = None,
    ) -> "History":
        """The posts of a subreddit; None for those of all of them. Memory grows with them, by some 300 bytes each.

        Args:
            warehouse: with core.posts, core.labels and core.duplicates.
            subreddit: in lower case.
            matured_after: age at which a label is final, of `LabelRule`; not the age at which it is first read.
            captions_of: the subreddit whose captions are read, those of others are empty; None for all.
        """
        rows = warehouse.query(_POSTS, {"subreddit": subreddit, "captions_of": captions_of})
        created_at = rows.column("created_at").to_numpy().astype("datetime64[s]")
        return cls(
            post_ids=rows.column("post_id").to_pylist(),
            subreddits=rows.column("subreddit").to_pylist(),
            authors=rows.column("author").to_pylist(),
            captions=rows.column("caption").to_pylist(),
            groups=rows.column("duplicate_group").to_pylist(),
            created_at=created_at,
            matured_at=(created_at + np.timedelta64(matured_after)).astype("datetime64[s]"),
            log_score=rows.column("log_score").to_numpy().astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.post_ids)

    def of(self, subreddit: str) -> npt.NDArray[np.bool_]:
        """(n,) which posts are of a subreddit."""
        return np.array([name == subreddit for name in self.subreddits], dtype=np.bool_)

    def only(self, subreddit: str) -> "History":
        """The posts of a subreddit."""
        here = self.of(subreddit)
        lists = {
            name: [value for value, kept in zip(getattr(self, name), here, strict=True) if kept]
            for name in ("post_ids", "subreddits", "authors", "captions", "groups")
        }
        return History(
            **lists, created_at=self.created_at[here], matured_at=self.matured_at[here], log_score=self.log_score[here]
        )


def read_subscribers(
    reader: Reader, post_ids: Sequence[str], since: datetime | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.datetime64]]:
    """Members of their community when each of some posts was first seen, and when that was.

    Args:
        reader: where they are.
        post_ids: n ids.
        since: numbers that were known before count as unknown; None to read all.

    Returns:
        (n,) float64, NaN where unknown; (n,) datetime64[s], UTC, NaT where unknown.
    """
    rows = reader.query(_SUBSCRIBERS, {"since": since}, asked_posts=positions(post_ids))
    seen_at = rows.column("discovered_at").to_numpy().astype("datetime64[s]")
    return rows.column("subscribers").to_numpy().astype(np.float64), seen_at


def positions(post_ids: Sequence[str]) -> pa.Table:
    """The columns `post_id` and `position` (from 0) of some posts."""
    return pa.table({"post_id": pa.array(post_ids, pa.string()), "position": np.arange(len(post_ids))})

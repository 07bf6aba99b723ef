"""Which image posts of a community were taken down and which stood, and what was known of each when it was made.

**Outcome.** A post is looked at once: by its first reading at the label age or later, up to the age at which labels are
final (`LabelRule`: of reddit 7 days and 48 hours). If it is down in it, by moderators, filters or nobody knows whom, it
counts as removed; if it stands, as standing, whatever became of it earlier or later. Left out are

- posts that were not read in that time: nobody knows when it happened, and to count only the ones of which one outcome
  is known would bend the share of removals;
- posts of a listing that were first seen later than `FIRST_SEEN_WITHIN`: listings do not show what was removed before,
  so these had survived already. Archives show removed posts, too, so theirs count whenever they were read;
- whatever was deleted, by its author or by Reddit for good, in any reading: it is forgotten, and tells nothing of
  moderators.

What was removed before anybody saw it is in no source but archives: of a home that reads listings, the share is that of
posts that were seen standing.

**What is known at posting**: title, time, gallery, crosspost, and the author's earlier posts here with those that had
been seen removed by then. Flair, spoiler and maturity are left out, which moderators set when they remove, and so are
pictures, which are not fetched of removed posts. Posts that stand have all this in core.posts; of those that are down
it is read from their JSON, by the same rules as if they stood.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.features.captions import COLUMNS as CAPTION_COLUMNS
from redpop_assets.features.captions import caption_features
from redpop_assets.features.standing import author_standing
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.removal import RemovalInputs
from redpop_assets.removals import DELETIONS
from redpop_assets.sources.cleaning import allowed_over_18, clean_submissions
from redpop_assets.storage.rows import Reader

FIRST_SEEN_WITHIN: Final = timedelta(hours=3)
"""Age up to which a post of a listing has to have been seen first; discovery is hourly by default."""

REMOVED, STANDING, LEFT_OUT = 1, 0, -1

_TIME: Final = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "hour_rbf", "weekday_onehot")
_AT_ONCE: Final = 4_096
_FIELDS: Final = ("post_id", "created_at", "author", "caption", "kind", "crosspost_parent")

_TAKEN_DOWN = """
SELECT s.post_id, s.json, s.origin, s.revised_at, r.removed_by_category, r.author_present, r.code_version
FROM core.rejected_posts AS r JOIN raw.submissions AS s USING (post_id)
WHERE r.subreddit = $subreddit AND starts_with(r.reason, 'removed_by_')
    AND ($author IS NULL OR (s.json->>'author') = $author)
ORDER BY s.post_id
"""
_STANDING = f"""
SELECT {", ".join(_FIELDS)} FROM core.posts WHERE subreddit = $subreddit AND ($author IS NULL OR author = $author)
"""
_READ = """
WITH readings AS (
    SELECT
        p.post_id,
        o.observed_at,
        o.removed_by_category AS category,
        o.observed_at BETWEEN p.created_at + $age AND p.created_at + $final_age AS decides
    FROM posts AS p JOIN raw.observations AS o USING (post_id)
)
SELECT
    p.post_id,
    CASE
        WHEN any_value(s.origin) = 'listing' AND any_value(s.discovered_at - p.created_at) > $first_seen_within
            THEN 'seen late'
        WHEN NOT coalesce(bool_or(r.decides), FALSE) THEN 'not read in time'
        WHEN arg_min_null(r.category, r.observed_at) FILTER (r.decides) IS NULL THEN 'standing'
        ELSE 'removed'
    END AS outcome,
    min(r.observed_at) FILTER (r.category IS NOT NULL) AS removed_seen_at
FROM posts AS p
LEFT JOIN raw.submissions AS s USING (post_id)
LEFT JOIN readings AS r USING (post_id)
GROUP BY p.post_id
HAVING NOT coalesce(bool_or(list_contains($deletions, r.category)), FALSE)
ORDER BY p.post_id
"""


@dataclass(frozen=True, eq=False)
class RemovalPosts:
    """n image posts of a community, standing or removed, ordered by post id.

    Attributes:
        post_ids: base36 ids.
        authors: keyed hashes; None where unknown.
        titles: as they were cleaned.
        created_at: (n,) datetime64[s], UTC.
        is_gallery, is_crosspost: (n,) bool.
        outcome: (n,) `REMOVED`, `STANDING` or `LEFT_OUT`.
        removed_seen_at: (n,) datetime64[s], UTC, the first reading that showed a post removed; NaT without one.
        left_out: why posts have no outcome -> how many.
    """

    post_ids: tuple[str, ...]
    authors: tuple[str | None, ...]
    titles: tuple[str, ...]
    created_at: npt.NDArray[np.datetime64]
    is_gallery: npt.NDArray[np.bool_]
    is_crosspost: npt.NDArray[np.bool_]
    outcome: npt.NDArray[np.int8]
    removed_seen_at: npt.NDArray[np.datetime64]
    left_out: Mapping[str, int]

    @classmethod
    def read(cls, reader: Reader, subreddit: str, rule: LabelRule, *, author: str | None = None) -> "RemovalPosts":
        """The posts of a community, or those of one of its authors.

        Reads a few columns of every post, two of every reading, and the JSON of the removed ones, some at a time.

        Args:
            reader: open warehouse.
            subreddit: in lower case.
            rule: when posts are looked at.
            author: keyed hash; None for all.
        """
        scope = {"subreddit": subreddit, "author": author}
        removed = reader.query(_TAKEN_DOWN, scope)
        parts = [
            _as_if_standing(removed.slice(start, _AT_ONCE), subreddit) for start in range(0, len(removed), _AT_ONCE)
        ]
        standing = reader.query(_STANDING, scope)
        posts = pa.concat_tables([standing, *(part.cast(standing.schema) for part in parts)]).sort_by("post_id")
        read = reader.query(
            _READ,
            {
                "age": rule.age,
                "final_age": rule.final_age,
                "first_seen_within": FIRST_SEEN_WITHIN,
                "deletions": list(DELETIONS),
            },
            posts=posts.select(["post_id", "created_at"]),
        )
        kept = set(read.column("post_id").to_pylist())
        posts = posts.filter(pa.array([one in kept for one in posts.column("post_id").to_pylist()], pa.bool_()))
        outcomes = read.column("outcome").to_pylist()
        numbers = {"removed": REMOVED, "standing": STANDING}
        return cls(
            post_ids=tuple(posts.column("post_id").to_pylist()),
            authors=tuple(posts.column("author").to_pylist()),
            titles=tuple(title[:LONGEST_CAPTION] for title in posts.column("caption").to_pylist()),
            created_at=posts.column("created_at").to_numpy().astype("datetime64[s]"),
            is_gallery=np.array([kind == "gallery" for kind in posts.column("kind").to_pylist()], dtype=np.bool_),
            is_crosspost=np.array([one is not None for one in posts.column("crosspost_parent").to_pylist()], np.bool_),
            outcome=np.array([numbers.get(one, LEFT_OUT) for one in outcomes], dtype=np.int8),
            removed_seen_at=read.column("removed_seen_at").to_numpy().astype("datetime64[s]"),
            left_out={why: outcomes.count(why) for why in ("seen late", "not read in time")},
        )

    @classmethod
    def none(cls) -> "RemovalPosts":
        """No posts at all."""
        moments, flags = np.zeros(0, dtype="datetime64[s]"), np.zeros(0, dtype=np.bool_)
        return cls((), (), (), moments, flags, flags, np.zeros(0, dtype=np.int8), moments, {})

    def __len__(self) -> int:
        return len(self.post_ids)

    def newest(self, most: int) -> npt.NDArray[np.intp]:
        """Row numbers of the newest posts with an outcome, so many at most, in the order of the posts."""
        rows = np.flatnonzero(self.outcome != LEFT_OUT)
        order = (
            np.lexsort((np.asarray(self.post_ids, dtype=np.str_)[rows], self.created_at[rows])) if len(rows) else rows
        )
        return np.sort(rows[order[max(0, len(rows) - most) :]]).astype(np.intp)

    def inputs(self, rows: npt.NDArray[np.intp]) -> RemovalInputs:
        """What was known of some posts when they were made; the titles cost a fraction of a millisecond each."""
        titles = [self.titles[row] for row in rows]
        standing = author_standing(self.authors, self.created_at, self.removed_seen_at, rows)
        form = np.column_stack([self.is_gallery[rows], self.is_crosspost[rows]]).astype(np.float64)
        return RemovalInputs(titles, _numbers(titles, self.created_at[rows], form), standing)

    def digest(self, rows: npt.NDArray[np.intp]) -> str:
        """Of all that some posts are described by, and of what became of them; what came later does not change it."""
        if not len(rows):
            return "no posts"
        now = self.created_at[rows].max()
        past = np.flatnonzero(self.created_at <= now)
        texts = [(self.post_ids[row], self.authors[row]) for row in past], [self.titles[row] for row in rows]
        found = hashlib.sha256(repr(texts).encode())
        seen = self.removed_seen_at[past]
        seen[~(seen < now)] = np.datetime64("NaT")
        form = (self.is_gallery[rows], self.is_crosspost[rows], self.outcome[rows])
        for values in (self.created_at[past], seen, *form, np.searchsorted(past, rows)):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()[:16]


def draft_inputs(
    past: RemovalPosts, titles: tuple[str, ...], posted_at: npt.NDArray[np.datetime64], author: str | None
) -> RemovalInputs:
    """What is known of a post with a picture of one's own that is not made yet, a row for each title.

    Args:
        past: the posts of the community.
        titles: n of them.
        posted_at: (n,) datetime64, UTC.
        author: keyed hash; None where unknown.
    """
    n = len(titles)
    standing = author_standing(
        (*past.authors, *[author] * n),
        np.concatenate([past.created_at, posted_at.astype("datetime64[s]")]),
        np.concatenate([past.removed_seen_at, np.full(n, np.datetime64("NaT", "s"))]),
        np.arange(len(past), len(past) + n),
    )
    shown = tuple(title[:LONGEST_CAPTION] for title in titles)
    return RemovalInputs(shown, _numbers(shown, posted_at, np.zeros((n, 2))), standing)


def _numbers(
    titles: tuple[str, ...] | list[str], created_at: npt.NDArray[np.datetime64], form: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(n, d) statistics of the title, hour and weekday, and the form."""
    words = [caption_features(titles[start : start + _AT_ONCE]) for start in range(0, max(len(titles), 1), _AT_ONCE)]
    text = [np.concatenate([part[name] for part in words])[:, None] for name in CAPTION_COLUMNS]
    found = timestamp_features(created_at)
    time = [found[name].reshape(len(titles), -1) for name in _TIME]
    return np.hstack([*text, *time, form]).astype(np.float64)


def _as_if_standing(removed: pa.Table, subreddit: str) -> pa.Table:
    """Removed submissions as image posts; what is none, or names no title any more, is left out."""
    parts = []
    versions = removed.column("code_version").to_pylist()
    for over_18 in (False, True):
        chosen = removed.filter(pa.array([allowed_over_18(one) == over_18 for one in versions], pa.bool_()))
        posts, _ = clean_submissions(chosen, subreddit=subreddit, allow_over_18=over_18, as_if_standing=True)
        parts.append(posts.select(list(_FIELDS)))
    return pa.concat_tables(parts)

"""Brings core.posts and core.rejected_posts up to date with the raw submissions; the rules are in reddit/cleaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from redpop_assets.sources.cleaning import clean_submissions, rules_version
from redpop_assets.storage.warehouse import Warehouse

# Submissions without a row in core, or whose row was made by other rules, from another removal state or from a JSON
# that was revised since.
_DUE_SUBMISSIONS = """
WITH latest AS (
    SELECT
        post_id,
        arg_max_null(removed_by_category, observed_at) AS removed_by_category,
        arg_max_null(author_present, observed_at) AS author_present
    FROM raw.observations WHERE subreddit = $subreddit GROUP BY post_id
),
cleaned AS (
    SELECT post_id, code_version, removed_by_category, author_present, revised_at
    FROM core.posts WHERE subreddit = $subreddit
    UNION ALL
    SELECT post_id, code_version, removed_by_category, author_present, revised_at
    FROM core.rejected_posts WHERE subreddit = $subreddit
)
SELECT s.post_id, s.origin, s.revised_at, l.removed_by_category, l.author_present
FROM raw.submissions AS s
LEFT JOIN latest AS l USING (post_id)
LEFT JOIN cleaned AS c USING (post_id)
WHERE s.subreddit = $subreddit AND (
    c.post_id IS NULL
    OR c.code_version <> $code_version
    OR c.removed_by_category IS DISTINCT FROM l.removed_by_category
    OR c.author_present IS DISTINCT FROM l.author_present
    OR c.revised_at IS DISTINCT FROM s.revised_at
)
ORDER BY s.post_id
"""
_REASONS = """
SELECT reason, count(*) AS posts FROM core.rejected_posts WHERE subreddit = $subreddit
GROUP BY ALL ORDER BY posts DESC, reason
"""


@dataclass(frozen=True)
class Cleaned:
    """How many submissions were sorted now, and how many posts of the community are rejected for each reason."""

    submissions: int
    reasons: Mapping[str, int]


def refresh_posts(
    warehouse: Warehouse, subreddit: str, *, allow_over_18: bool, chunk_size: int, progress: Callable[[str], None]
) -> Cleaned:
    """Sort the submissions of a community that are new, were revised or removed, or were sorted by other rules.

    Args:
        warehouse: where they are.
        subreddit: in lower case.
        allow_over_18: whether posts marked as mature are kept.
        chunk_size: submissions between two writes.
        progress: told how far it is.
    """
    version = rules_version(allow_over_18=allow_over_18)
    due = warehouse.query(_DUE_SUBMISSIONS, {"subreddit": subreddit, "code_version": version})
    for start in range(0, due.num_rows, chunk_size):
        chunk = due.slice(start, chunk_size)
        ids = {"ids": chunk.column("post_id").to_pylist()}
        stored = warehouse.query(
            "SELECT post_id, json FROM raw.submissions WHERE post_id IN (SELECT unnest($ids))", ids
        )
        posts, rejected = clean_submissions(
            stored.join(chunk, "post_id"), subreddit=subreddit, allow_over_18=allow_over_18
        )
        with warehouse.write() as writer:
            for table, rows in (("core.posts", posts), ("core.rejected_posts", rejected)):
                writer.execute(f"DELETE FROM {table} WHERE post_id IN (SELECT unnest($ids))", ids)
                writer.append(table, rows)
        progress(f"cleaned {start + chunk.num_rows} of {due.num_rows} submissions")
    reasons = warehouse.query(_REASONS, {"subreddit": subreddit}).to_pylist()
    return Cleaned(due.num_rows, {row["reason"]: row["posts"] for row in reasons})

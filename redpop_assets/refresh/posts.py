"""Brings core.posts and core.rejected_posts up to date with the raw submissions; the rules are in reddit/cleaning."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np
import pyarrow as pa

from redpop_assets.refresh.chunks import Progress
from redpop_assets.sources.cleaning import clean_submissions, rules_version
from redpop_assets.storage.warehouse import Warehouse

CHUNK_BYTES: Final = 16_000_000
"""Bytes of JSON that are cleaned between two writes."""

CHUNK_ROWS: Final = 16_384
"""Submissions that are cleaned between two writes at most: some seconds of work."""

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
SELECT s.post_id, s.origin, s.revised_at, strlen(s.json::VARCHAR) AS bytes, l.removed_by_category, l.author_present
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
# DuckDB's Python client takes 0.1 ms for each element of a list that is a parameter, so ids come as one text.
_CHOSEN = "SELECT unnest(string_split($ids, ','))"
_STORED = f"SELECT post_id, json FROM raw.submissions WHERE post_id IN ({_CHOSEN})"
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
    warehouse: Warehouse, subreddit: str, *, allow_over_18: bool, progress: Callable[[str], None]
) -> Cleaned:
    """Sort every raw submission into core.posts or, with a reason code, into core.rejected_posts.

    The JSON is read by chunks of `CHUNK_BYTES`, or of `CHUNK_ROWS` where it is short: a killed run loses one of them,
    and the file is opened once for each.

    Args:
        warehouse: where they are.
        subreddit: in lower case.
        allow_over_18: whether posts marked as mature are kept.
        progress: told how far it is.
    """
    version = rules_version(allow_over_18=allow_over_18)
    due = warehouse.query(_DUE_SUBMISSIONS, {"subreddit": subreddit, "code_version": version})
    told = Progress(progress, due.num_rows, "submissions cleaned")
    chunks = list(_chunks(due))
    stored = warehouse.query(_STORED, _ids(chunks[0])) if chunks else None
    done = 0
    for chunk, following in zip_longest(chunks, chunks[1:]):
        assert stored is not None
        posts, rejected = clean_submissions(
            stored.join(chunk.drop_columns("bytes"), "post_id"), subreddit=subreddit, allow_over_18=allow_over_18
        )
        with warehouse.write() as writer:
            for table, rows in (("core.posts", posts), ("core.rejected_posts", rejected)):
                writer.execute(f"DELETE FROM {table} WHERE post_id IN ({_CHOSEN})", _ids(chunk))
                writer.append(table, rows)
            stored = writer.query(_STORED, _ids(following)) if following is not None else None
        done += chunk.num_rows
        told.at(done)
    reasons = warehouse.query(_REASONS, {"subreddit": subreddit}).to_pylist()
    return Cleaned(due.num_rows, {row["reason"]: row["posts"] for row in reasons})


def _chunks(due: pa.Table) -> Iterator[pa.Table]:
    """Consecutive rows whose JSON is of `CHUNK_BYTES` at most, but for single ones that are longer."""
    ends = np.cumsum(due.column("bytes").to_numpy())
    start = 0
    while start < due.num_rows:
        before = ends[start - 1] if start else 0
        fitting = int(np.searchsorted(ends, before + CHUNK_BYTES, side="right"))
        stop = max(start + 1, min(fitting, start + CHUNK_ROWS))
        yield due.slice(start, stop - start)
        start = stop


def _ids(chunk: pa.Table) -> dict[str, str]:
    return {"ids": ",".join(chunk.column("post_id").to_pylist())}

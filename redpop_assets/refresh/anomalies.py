"""Brings core.anomalies up to date: when the archive of a community had wrong scores, and days without posts.

There is no snapshot: what is read is two rows per day, counted by the warehouse, and a digest would count the same.
How periods are told belongs into `redpop_assets.evaluation.anomalies`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from redpop_assets.evaluation.anomalies import LOW_SCORE, Anomaly, Counts, Window, gaps, judged_windows
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "core.anomalies"

# Of archives, as Reddit itself is read when posts have matured; and of one scale, that of most labels.
_LABELS = f"""
WITH scale AS (
    SELECT score_scale FROM core.labels WHERE subreddit = $subreddit GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1
)
SELECT p.created_at::DATE AS day, count(*) AS labels, count(*) FILTER (l.score <= {LOW_SCORE}) AS low, score_scale
FROM core.labels AS l
JOIN scale USING (score_scale)
JOIN core.posts AS p USING (post_id)
JOIN raw.observations AS o ON o.post_id = l.post_id AND o.observed_at = coalesce(l.first_observed_at, l.observed_at)
WHERE l.subreddit = $subreddit AND o.endpoint NOT IN ('listing', 'info')
GROUP BY ALL ORDER BY day
"""
# Rejected posts count, too: where most are no image posts, a gap would be lost among the quiet days of the others.
# What only `top` or `hot` showed is a choice of a few posts, and tells nothing of how many there were.
_POSTS = """
WITH everything AS (
    SELECT post_id, created_at FROM core.posts WHERE subreddit = $subreddit
    UNION ALL
    SELECT post_id, make_timestamp((TRY_CAST(s.json->>'created_utc' AS DOUBLE) * 1e6)::BIGINT) AS created_at
    FROM core.rejected_posts AS r JOIN raw.submissions AS s USING (post_id)
    WHERE r.subreddit = $subreddit AND TRY_CAST(s.json->>'created_utc' AS DOUBLE) BETWEEN 1e9 AND 1e10
)
SELECT created_at::DATE AS day, count(*) AS posts
FROM everything
WHERE post_id IN (SELECT post_id FROM raw.submissions WHERE subreddit = $subreddit AND origin <> 'listing')
    OR post_id IN (SELECT post_id FROM raw.sightings WHERE subreddit = $subreddit AND listing = 'new')
GROUP BY ALL ORDER BY day
"""


@dataclass(frozen=True)
class Found:
    """What was found in a community, and in what.

    Attributes:
        anomalies: The periods, by kind and time.
        windows: What the labels of archives were judged in, by time.
        first_day: Of `posts_per_day`; None without posts.
        posts_per_day: (n,) posts of each day from then on, zeros included.
        doubtful_labels: Labels that are likely to be first readings.
        changed: Rows of core.anomalies that are not what they were.
    """

    anomalies: Sequence[Anomaly]
    windows: Sequence[Window]
    first_day: date | None
    posts_per_day: Counts
    doubtful_labels: int
    changed: int


def refresh_anomalies(warehouse: Warehouse, subreddit: str, *, now: datetime) -> Found:
    """Judge the labels and the days of a community again, and store what sticks out.

    Grows with the posts and labels of the community, which are counted; of rejected posts the JSON is read.

    Args:
        warehouse: with core.labels, core.posts, core.rejected_posts and what is raw.
        subreddit: in lower case.
        now: when that is, UTC without a zone: what was not known before is found now.
    """
    scope = {"subreddit": subreddit}
    with warehouse.read() as reader:
        labels, posts = reader.query(_LABELS, scope), reader.query(_POSTS, scope)
        known = reader.query(f"FROM {TABLE} WHERE subreddit = $subreddit", scope).to_pylist()
    days = labels.column("day").to_numpy().astype("datetime64[D]")
    counts = [labels.column(name).to_numpy().astype(np.int64) for name in ("labels", "low")]
    windows, anomalies = judged_windows(days, *counts)
    scale = labels.column("score_scale")[0].as_py() if len(days) else None
    first_day, posts_per_day = _daily(posts)
    if first_day is not None:
        anomalies += gaps(first_day, posts_per_day)
    rows = [
        {
            "subreddit": subreddit,
            "kind": found.kind,
            "first_day": found.first,
            "last_day": found.last,
            "score_scale": None if found.kind == "gap" else scale,
            **{name: getattr(found, name) for name in ("observed", "expected", "strength", "p_value", "posts")},
            "found_at": min((row["found_at"] for row in known if _same(row, found)), default=now),
        }
        for found in anomalies
    ]
    with warehouse.write() as writer:
        empty = writer.query(f"SELECT * FROM {TABLE} LIMIT 0")
        table = pa.Table.from_pylist(rows, schema=empty.schema)
        changed = writer.replace(TABLE, table, "subreddit = $subreddit", scope).changed
        doubtful = writer.scalar("SELECT count(*) FROM core.doubtful_labels WHERE subreddit = $subreddit", scope)
    return Found(anomalies, windows, first_day, posts_per_day, doubtful, changed)


def _daily(posts: pa.Table) -> tuple[date | None, Counts]:
    """The first day, and the posts of it and of all days up to the last one that has some."""
    if not posts.num_rows:
        return None, np.zeros(0, dtype=np.int64)
    days = posts.column("day").to_numpy().astype("datetime64[D]")
    place = (days - days[0]).astype(np.int64)
    daily = np.zeros(place[-1] + 1, dtype=np.int64)
    daily[place] = posts.column("posts").to_numpy()
    return days[0].astype(date), daily


def _same(row: dict[str, Any], found: Anomaly) -> bool:
    """Whether a stored row is of this period, which may have grown."""
    return bool(row["kind"] == found.kind and row["first_day"] <= found.last and found.first <= row["last_day"])

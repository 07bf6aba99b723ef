"""What the readings of young posts tell at each age of forecasts, kept for those who follow posts and learn to.

A row is made once the community has been read past that age of the post: no reading by it can then come any more, but
from a file that is imported later, which makes the row anew. What was forecast meanwhile stays as it was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets import versions
from redpop_assets.features.early import (
    COLUMNS,
    FORECAST_AGES,
    FRESH,
    LISTINGS,
    Readings,
    Sightings,
    early_features,
)
from redpop_assets.labels import MOST_SCORE
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "features.early_readings"

POSTS_AT_ONCE: Final = 20_000
"""Posts whose readings are in memory together."""

# What rows are made from, as far as it was read by each age; the newest reading has to be fresh.
_WANTED = f"""
WITH clock AS (
    SELECT greatest(max(p.created_at), max(o.observed_at)) AS now
    FROM core.posts AS p LEFT JOIN raw.observations AS o USING (post_id) WHERE p.subreddit = $subreddit
),
ages AS (
    SELECT p.post_id, p.created_at, a.age_hours, p.created_at + to_hours(a.age_hours) AS until
    FROM core.posts AS p
    CROSS JOIN (SELECT unnest($ages::INTEGER[]) AS age_hours) AS a
    CROSS JOIN clock AS c
    WHERE p.subreddit = $subreddit AND p.created_at + to_hours(a.age_hours) <= c.now
),
young AS (
    SELECT o.* FROM raw.observations AS o JOIN core.posts AS p USING (post_id)
    WHERE o.subreddit = $subreddit AND o.observed_at >= p.created_at
        AND o.observed_at <= p.created_at + to_hours($last::INTEGER)
),
seen AS (
    SELECT s.post_id, a.age_hours, sum(hash(s.listing, s.seen_at, s.rank)::HUGEINT) AS sightings
    FROM ages AS a JOIN raw.sightings AS s USING (post_id)
    WHERE s.subreddit = $subreddit AND list_contains($listings, s.listing) AND s.time_filter = ''
        AND s.seen_at <= a.until
    GROUP BY ALL
),
wanted AS (
    SELECT
        a.post_id,
        a.age_hours,
        max(y.observed_at) AS observed_at,
        format(
            '{{:016x}}',
            hash(
                $code,
                any_value(a.created_at),
                any_value(s.sightings),
                sum(hash(
                    y.observed_at, y.score, y.hide_score, y.upvote_ratio, y.num_comments, y.num_crossposts,
                    y.removed_by_category IS NULL
                )::HUGEINT)
            )
        ) AS made_from
    FROM ages AS a JOIN young AS y ON y.post_id = a.post_id AND y.observed_at <= a.until
    LEFT JOIN seen AS s ON (s.post_id, s.age_hours) = (a.post_id, a.age_hours)
    GROUP BY ALL
    HAVING max(y.observed_at) >= any_value(a.created_at) + to_milliseconds({FRESH} * 3600000 * a.age_hours)
)
"""
_DUE = f"""
{_WANTED}
SELECT w.* FROM wanted AS w
LEFT JOIN {TABLE} AS t ON t.subreddit = $subreddit AND (t.post_id, t.age_hours) = (w.post_id, w.age_hours)
WHERE t.made_from IS DISTINCT FROM w.made_from
ORDER BY w.post_id, w.age_hours
"""
_GONE = f"""
{_WANTED}
SELECT t.post_id, t.age_hours FROM {TABLE} AS t ANTI JOIN wanted AS w USING (post_id, age_hours)
WHERE t.subreddit = $subreddit ORDER BY ALL
"""
_DELETE = f"""
DELETE FROM {TABLE}
WHERE (post_id, age_hours) IN (SELECT unnest($post_id::VARCHAR[]), unnest($age_hours::INTEGER[]))
"""
_READINGS = f"""
SELECT o.post_id, epoch_us(o.observed_at - p.created_at) AS age_us,
    CASE WHEN NOT coalesce(o.hide_score, FALSE) AND o.score BETWEEN -{MOST_SCORE} AND {MOST_SCORE}
        THEN o.score END::DOUBLE AS score,
    coalesce(o.hide_score, FALSE) AS masked, o.upvote_ratio, o.num_comments::DOUBLE AS comments,
    o.num_crossposts::DOUBLE AS crossposts, o.removed_by_category IS NOT NULL AS removed
FROM raw.observations AS o JOIN core.posts AS p USING (post_id)
WHERE o.post_id IN (SELECT post_id FROM chosen) AND o.observed_at >= p.created_at
    AND ($last IS NULL OR o.observed_at <= p.created_at + to_hours($last::INTEGER))
ORDER BY o.post_id, o.observed_at
"""
_SIGHTINGS = """
SELECT s.post_id, epoch_us(s.seen_at - p.created_at) AS age_us, list_position($listings, s.listing) - 1 AS listing,
    s.rank::BIGINT AS rank
FROM raw.sightings AS s JOIN core.posts AS p USING (post_id)
WHERE s.post_id IN (SELECT post_id FROM chosen) AND list_contains($listings, s.listing) AND s.time_filter = ''
    AND s.seen_at <= p.created_at + to_hours($last::INTEGER)
ORDER BY s.post_id, s.seen_at, s.listing, s.rank
"""
_HOUR = 3_600_000_000


@dataclass(frozen=True)
class EarlyReadings:
    """How many rows were made, or made anew, and how many went because nothing says them any more."""

    made: int
    gone: int


def refresh_early_readings(warehouse: Warehouse, subreddit: str) -> EarlyReadings:
    """Bring the rows of a community up to date: of each age that its posts have passed.

    What is due is found by one query over the readings of the first day of its posts; what is made grows with that.

    Args:
        warehouse: with core.posts and the raw layer.
        subreddit: in lower case.
    """
    params = {
        "subreddit": subreddit,
        "ages": list(FORECAST_AGES),
        "last": max(FORECAST_AGES),
        "listings": list(LISTINGS),
        "code": versions.EARLY_READINGS,
    }
    with warehouse.read() as reader:
        due, gone = reader.query(_DUE, params), reader.query(_GONE, params)
    post_ids = pc.unique(due.column("post_id"))
    for first in range(0, len(post_ids), POSTS_AT_ONCE):
        some = post_ids.slice(first, POSTS_AT_ONCE)
        own = due.filter(pc.is_in(due.column("post_id"), value_set=some))
        with warehouse.read() as reader:
            readings = read_readings(reader, some.to_pylist(), last=max(FORECAST_AGES))
            sightings = read_sightings(reader, some.to_pylist())
        warehouse.merge(TABLE, _rows(subreddit, some.to_pylist(), own, readings, sightings))
    if gone.num_rows:
        with warehouse.write() as writer:
            writer.execute(_DELETE, {name: gone.column(name).to_pylist() for name in gone.column_names})
    return EarlyReadings(due.num_rows, gone.num_rows)


def read_readings(reader: Reader, post_ids: Sequence[str], *, last: int | None) -> Readings:
    """The readings of some posts of core.posts, numbered in their order.

    Args:
        reader: open warehouse.
        post_ids: ascending.
        last: age up to which readings are read (hours); None for all.
    """
    rows = reader.query(_READINGS, {"last": last}, chosen=_chosen(post_ids))
    score, ratio, comments, crossposts = (
        rows.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("score", "upvote_ratio", "comments", "crossposts")
    )
    masked, removed = (
        rows.column(name).to_numpy(zero_copy_only=False).astype(np.bool_) for name in ("masked", "removed")
    )
    age = rows.column("age_us").to_numpy().astype(np.float64) / _HOUR
    return Readings(_numbers(rows, post_ids), age, score, masked, ratio, comments, crossposts, removed)


def read_sightings(reader: Reader, post_ids: Sequence[str]) -> Sightings:
    """Places of some posts in listings while they were young; as `read_readings`."""
    given = {"listings": list(LISTINGS), "last": max(FORECAST_AGES)}
    rows = reader.query(_SIGHTINGS, given, chosen=_chosen(post_ids))
    listing, rank = (rows.column(name).to_numpy().astype(np.int64) for name in ("listing", "rank"))
    return Sightings(
        _numbers(rows, post_ids), rows.column("age_us").to_numpy().astype(np.float64) / _HOUR, listing, rank
    )


def _chosen(post_ids: Sequence[str]) -> pa.Table:
    return pa.table({"post_id": pa.array(post_ids, pa.string())})


def _numbers(rows: pa.Table, post_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.asarray(pc.index_in(rows.column("post_id"), pa.array(post_ids, pa.string())).to_numpy(), dtype=np.int64)


def _rows(subreddit: str, post_ids: Sequence[str], due: pa.Table, readings: Readings, sightings: Sightings) -> pa.Table:
    """Rows of the table for what is due, of the posts that are read."""
    parts = []
    for age in sorted(set(due.column("age_hours").to_pylist())):
        wanted = due.filter(pc.equal(due.column("age_hours"), age))
        posts, found = early_features(readings, sightings, age)
        number = _numbers(wanted, post_ids)
        at = np.searchsorted(posts, number)
        columns = {name: pa.array(found[name][at].astype(np.float32), from_pandas=True) for name in COLUMNS}
        key = {name: wanted.column(name) for name in wanted.column_names}
        parts.append(arrow_table({**key, "subreddit": [subreddit] * wanted.num_rows, **columns}))
    return pa.concat_tables(parts)

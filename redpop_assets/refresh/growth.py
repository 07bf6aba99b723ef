"""How scores grow in a community: which share of its later score a post has at each age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from redpop_assets.storage.rows import Readable

NEWEST_POSTS: Final = 5_000
"""Of how many labelled posts, the newest ones, the readings are looked at."""

# As marts.growth_curves, which has all posts of all communities; the ages are those of its buckets.
_GROWTH = """
WITH posts AS (
    SELECT l.post_id, p.created_at, l.score, coalesce(l.first_observed_at, l.observed_at) AS labelled_at
    FROM core.labels AS l JOIN core.posts AS p USING (post_id)
    WHERE l.subreddit = $subreddit AND l.score_scale = 'current' AND l.score >= 10
    ORDER BY p.created_at DESC, l.post_id LIMIT $newest
),
aged AS (
    SELECT
        epoch(o.observed_at - p.created_at) / 3600 AS age_hours,
        o.score / p.score AS share,
        CASE
            WHEN age_hours < 1 THEN 0
            WHEN age_hours < 3 THEN 1
            WHEN age_hours < 6 THEN 3
            WHEN age_hours < 12 THEN 6
            WHEN age_hours < 24 THEN 12
            ELSE 24 * floor(age_hours / 24)
        END::INTEGER AS from_hours
    FROM raw.observations AS o JOIN posts AS p USING (post_id)
    WHERE o.subreddit = $subreddit AND o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE)
        AND o.observed_at >= TIMESTAMP '2016-12-01' AND o.observed_at < p.labelled_at
    QUALIFY row_number() OVER (PARTITION BY o.post_id, from_hours ORDER BY o.observed_at) = 1
)
SELECT
    from_hours,
    CASE from_hours WHEN 0 THEN 1 WHEN 1 THEN 3 WHEN 3 THEN 6 WHEN 6 THEN 12 WHEN 12 THEN 24 ELSE from_hours + 24 END
        AS to_hours,
    count(*) AS posts,
    median(age_hours) AS median_age_hours,
    quantile_cont(share, 0.25) AS share_q25,
    median(share) AS share_median,
    quantile_cont(share, 0.75) AS share_q75
FROM aged GROUP BY from_hours ORDER BY from_hours
"""


@dataclass(frozen=True)
class Age:
    """Which share of its later score a post has at some age.

    Attributes:
        from_hours, to_hours: ages that count, the first included.
        posts: labelled posts that were read at that age.
        median_hours: median of their ages.
        low, median, high: a quarter, half and three quarters of them had at most this share.
    """

    from_hours: int
    to_hours: int
    posts: int
    median_hours: float
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Growth:
    """How scores grow.

    Attributes:
        ages: the youngest first; posts are read at different ages, so each may be of other posts.
        why_unknown: why there are none, in a sentence that says what to do; None where there are.
    """

    ages: tuple[Age, ...]
    why_unknown: str | None


def growth_of(warehouse: Readable, subreddit: str) -> Growth:
    """How scores grow in a community, on the present scale of scores, by its newest labelled posts.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    rows = warehouse.query(_GROWTH, {"subreddit": subreddit, "newest": NEWEST_POSTS}).to_pylist()
    ages = tuple(
        Age(
            *(row["from_hours"], row["to_hours"], row["posts"], row["median_age_hours"]),
            *(row["share_q25"], row["share_median"], row["share_q75"]),
        )
        for row in rows
    )
    why = None
    if not ages:
        why = (
            f"No labelled post of r/{subreddit} was read while it grew: readings at young ages come from Reddit "
            "itself, night after night (`redpop materialize`), and archives have none."
        )
    return Growth(ages, why)

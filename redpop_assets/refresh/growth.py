"""How scores grow in a community: which share of its later score a post has at each age, and which score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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


# Of each post the first reading of each span of ages.
_BANDS = """
WITH posts AS (
    SELECT post_id, created_at FROM core.posts
    WHERE subreddit = $subreddit AND post_id <> $except_post AND created_at >= TIMESTAMP '2016-12-01'
    ORDER BY created_at DESC, post_id LIMIT $newest
),
aged AS (
    SELECT
        epoch(o.observed_at - p.created_at) / 3600 AS age_hours,
        o.score,
        CASE
            WHEN age_hours < 0.25 THEN 0
            WHEN age_hours < 0.5 THEN 1
            WHEN age_hours < 1 THEN 2
            WHEN age_hours < 2 THEN 3
            WHEN age_hours < 4 THEN 4
            WHEN age_hours < 8 THEN 5
            WHEN age_hours < 16 THEN 6
            WHEN age_hours < 30 THEN 7
            WHEN age_hours < 60 THEN 8
            WHEN age_hours < 120 THEN 9
            ELSE 10
        END AS span
    FROM raw.observations AS o JOIN posts AS p USING (post_id)
    WHERE o.subreddit = $subreddit AND o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE)
        AND o.observed_at BETWEEN p.created_at AND p.created_at + to_hours(240)
    QUALIFY row_number() OVER (PARTITION BY o.post_id, span ORDER BY o.observed_at) = 1
)
SELECT
    count(*) AS posts,
    median(age_hours) AS hours,
    quantile_cont(score, 0.25)::DOUBLE AS low,
    median(score)::DOUBLE AS median,
    quantile_cont(score, 0.75)::DOUBLE AS high
FROM aged GROUP BY span HAVING count(*) >= $least ORDER BY hours
"""
# Of each post the reading nearest to each age, on a scale of ratios.
_STANDING = """
WITH posts AS (
    SELECT post_id, created_at FROM core.posts
    WHERE subreddit = $subreddit AND post_id <> $except_post
        AND (created_at >= TIMESTAMP '2016-12-01') = ($created_at >= TIMESTAMP '2016-12-01')
    ORDER BY created_at DESC, post_id LIMIT $newest
),
own AS (SELECT unnest($ages::DOUBLE[]) AS hours, unnest($scores::BIGINT[]) AS score),
read AS (
    SELECT o.post_id, o.observed_at, o.score, epoch(o.observed_at - p.created_at) / 3600 AS hours
    FROM raw.observations AS o JOIN posts AS p USING (post_id)
    WHERE o.subreddit = $subreddit AND o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE)
        AND o.observed_at > p.created_at
),
near AS (
    SELECT w.hours, w.score, r.score AS other
    FROM own AS w JOIN read AS r ON r.hours BETWEEN w.hours / $reach AND w.hours * $reach
    QUALIFY row_number() OVER (
        PARTITION BY w.hours, r.post_id ORDER BY abs(ln(r.hours / w.hours)), r.observed_at
    ) = 1
)
SELECT w.hours, w.score, count(n.other) AS posts,
    avg(CASE WHEN n.other < w.score THEN 1.0 WHEN n.other = w.score THEN 0.5 WHEN n.other > w.score THEN 0.0 END)
        AS percentile
FROM own AS w LEFT JOIN near AS n USING (hours, score) GROUP BY ALL ORDER BY w.hours DESC
"""
LEAST_POSTS: Final = 20
"""Other posts without which nothing is said of an age."""

REACH: Final = 1.25
"""By what factor the ages of others may differ from that of a post that is compared with them."""

_LEAST_HOURS: Final = 1 / 60


@dataclass(frozen=True)
class Band:
    """Which scores the posts of a community have at some age (points).

    Attributes:
        hours: median of their ages.
        posts: how many were read then.
        low, median, high: a quarter, half and three quarters of them had at most this.
    """

    hours: float
    posts: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Standing:
    """Where a post stands among others of its community, at an age that it has or had.

    Attributes:
        age_hours: at the reading that is compared.
        score: in it (points).
        percentile: share of the others that had less at about that age, from 0 to 1, ties half.
        posts: how many others.
        youngest_hours, oldest_hours: between which ages these were read.
    """

    age_hours: float
    score: int
    percentile: float
    posts: int
    youngest_hours: float
    oldest_hours: float


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
            "itself, night after night (`redpop materialize`), or from tables of readings (`redpop import`); other "
            "archives have none."
        )
    return Growth(ages, why)


def bands_of(warehouse: Readable, subreddit: str, except_post: str = "") -> tuple[Band, ...]:
    """Which scores the newest posts of a community have at each age, on the present scale; the youngest first.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
        except_post: id of one that does not count.
    """
    scope = {"subreddit": subreddit, "except_post": except_post, "newest": NEWEST_POSTS, "least": LEAST_POSTS}
    rows = warehouse.query(_BANDS, scope).to_pylist()
    return tuple(Band(row["hours"], row["posts"], row["low"], row["median"], row["high"]) for row in rows)


def standing_of(
    warehouse: Readable, subreddit: str, post_id: str, created_at: datetime, readings: Sequence[tuple[float, int]]
) -> Standing | int:
    """Where a post stands among the newest others, at the last of its ages at which `LEAST_POSTS` of them were read.

    Ages that are less than `REACH` apart are as one: the last of them is looked at.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
        post_id: of the post.
        created_at: when it was made (UTC): scores of before December 2016 are compared among themselves.
        readings: its age in hours and its score in each reading that shows one, at least one, the last one last.

    Returns:
        Where it stands; where too few others were read at all ages, how many were at the last one.
    """
    ages: list[float] = []
    scores: list[int] = []
    for age, score in reversed(readings):
        hours = max(age, _LEAST_HOURS)
        if not ages or hours * REACH <= ages[-1]:
            ages.append(hours)
            scores.append(score)
    scope = {"subreddit": subreddit, "except_post": post_id, "created_at": created_at, "newest": NEWEST_POSTS}
    rows = warehouse.query(_STANDING, {**scope, "ages": ages, "scores": scores, "reach": REACH}).to_pylist()
    row = next((row for row in rows if row["posts"] >= LEAST_POSTS), None)
    if row is None:
        return int(rows[0]["posts"])
    hours = row["hours"]
    return Standing(hours, row["score"], row["percentile"], row["posts"], hours / REACH, hours * REACH)

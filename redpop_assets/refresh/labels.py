"""Brings core.labels up to date: what the score of a post was when it had matured, freed from vote fuzzing."""

from dataclasses import dataclass

from redpop_assets.labels import MOST_SCORE, LabelRule
from redpop_assets.storage.warehouse import Warehouse

# A score beyond all that Reddit has ever had is a broken reading, and none of a community may hinge on it.
# December 2016: Reddit re-scaled all scores, so readings from before and after never go into one label.
_LABELS = f"""
WITH readings AS (
    SELECT
        p.post_id,
        p.subreddit,
        p.created_at,
        o.observed_at,
        CASE WHEN o.endpoint IN ('archive', 'arctic_shift') THEN o.endpoint ELSE 'reddit' END AS source,
        -- A sum or a difference of two readings may be more than 32 bits hold.
        o.score::BIGINT AS score,
        CASE WHEN o.observed_at < TIMESTAMP '2016-12-01' THEN 'before_2016_12' ELSE 'current' END AS score_scale
    FROM core.posts AS p
    JOIN raw.observations AS o USING (post_id)
    WHERE p.subreddit = $subreddit
        AND (
            o.observed_at >= p.created_at + $label_age
            OR (o.endpoint = 'arctic_shift' AND o.observed_at >= p.created_at + $archive_age)
        )
        AND o.score BETWEEN -{MOST_SCORE} AND {MOST_SCORE}
        AND NOT coalesce(o.hide_score, FALSE)
    -- What the archive read earlier stands in only where nobody will read at the label age any more.
    WINDOW post AS (PARTITION BY p.post_id)
    QUALIFY o.observed_at >= p.created_at + $label_age OR (
        max(o.observed_at) OVER post < p.created_at + $label_age
        AND p.created_at + $matured_after < max(o.observed_at) OVER ()
    )
),
mature AS (
    FROM readings
    WINDOW post AS (PARTITION BY post_id ORDER BY observed_at)
    QUALIFY observed_at <= first_value(observed_at) OVER post + $label_window
        AND score_scale = first_value(score_scale) OVER post
),
estimated AS (
    SELECT
        post_id,
        subreddit,
        created_at,
        score_scale,
        round(median(score))::INTEGER AS score,
        min(observed_at) AS first_observed_at,
        max(observed_at) AS observed_at,
        count(*)::INTEGER AS readings,
        (max(score) - min(score))::INTEGER AS score_spread,
        string_agg(DISTINCT source, '+' ORDER BY source) AS source
    FROM mature
    GROUP BY ALL
)
SELECT
    post_id,
    subreddit,
    score,
    sign(score) * ln(1 + abs(score)) AS log_score,
    (
        rank() OVER (PARTITION BY score_scale ORDER BY score) - 1
        + 0.5 * count(*) OVER (PARTITION BY score_scale, score)
    ) / count(*) OVER (PARTITION BY score_scale) AS percentile,
    observed_at,
    epoch(first_observed_at - created_at) / 3600 AS age_at_label_hours,
    score_scale,
    first_observed_at,
    readings,
    score_spread,
    source
FROM estimated
"""
_KEPT = "FROM core.labels WHERE subreddit = $subreddit ORDER BY post_id"


@dataclass(frozen=True)
class Labelled:
    """How many labels came out other than they were, and how many posts have none yet."""

    changed: int
    too_young: int


def refresh_labels(warehouse: Warehouse, subreddit: str, rule: LabelRule) -> Labelled:
    """Label the matured posts of a community; all of them in one statement, so changed settings take effect at once.

    Reads the readings of the whole community, and takes O(n log n) for n labels: a percentile is a place among all.
    Where all come out as they are, nothing is written.

    Args:
        warehouse: where posts and readings are.
        subreddit: in lower case.
        rule: which readings count.
    """
    scope = {"subreddit": subreddit}
    ages = {
        "label_age": rule.age,
        "label_window": rule.window,
        "archive_age": rule.least_archive_age,
        "matured_after": rule.final_age,
    }
    with warehouse.read() as reader:
        rows = reader.query(f"FROM ({_LABELS}) ORDER BY post_id", {**scope, **ages})
        kept = reader.query(_KEPT, scope)
        posts = reader.scalar("SELECT count(*) FROM core.posts WHERE subreddit = $subreddit", scope)
    changed = 0
    if not rows.equals(kept.select(rows.column_names)):
        changed = warehouse.replace("core.labels", rows, "subreddit = $subreddit", scope).changed
    return Labelled(changed, posts - rows.num_rows)

"""Forecasts that are written down while nobody can know the score, and kept until it has matured.

A test part is as honest as its split; a forecast with a date is honest by itself. What each post's champion expected of
it is stored once, at the first refresh at which the post and its features are there, and is never changed: not by a
better model, not by a picture that was fetched later. What becomes of it is a view over the labels
(marts.forecast_outcomes, marts.forecast_accuracy).
"""

from datetime import datetime, timedelta
from typing import Final

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.storage.warehouse import Warehouse

WAITS_FOR_FEATURES: Final = timedelta(days=1)
"""How old a post gets before it is forecast without a block that the champion would look at: pictures are retried."""

# The clock of the source, not of this machine: the two differ for an archive, and in a sandbox.
_MAKE = f"""
INSERT INTO marts.forecasts BY NAME
WITH now AS (
    SELECT p.subreddit, greatest(max(p.created_at), max(o.observed_at)) AS as_of
    FROM core.posts AS p LEFT JOIN raw.observations AS o USING (post_id) GROUP BY ALL
),
medians AS (
    SELECT subreddit, median(log_score) AS median_log_score FROM models.training_set WHERE split = 'train' GROUP BY ALL
)
SELECT
    p.post_id,
    c.subreddit,
    c.predictor,
    c.digest,
    $made_at::TIMESTAMP AS made_at,
    n.as_of,
    epoch(n.as_of - p.created_at) / 3600 AS age_hours,
    e.expected_log_score,
    e.expected_score,
    e.percentile,
    {", ".join(f"e.low_{level}, e.high_{level}" for level in LEVELS)},
    m.median_log_score,
    e.missing_blocks
FROM marts.champions AS c
JOIN marts.predictions AS e ON (e.subreddit, e.predictor, e.digest) = (c.subreddit, c.predictor, c.digest)
JOIN core.posts AS p ON p.post_id = e.post_id
JOIN now AS n ON n.subreddit = c.subreddit
JOIN medians AS m ON m.subreddit = c.subreddit
ANTI JOIN core.labels AS l ON l.post_id = p.post_id
ANTI JOIN marts.forecasts AS f ON f.post_id = p.post_id
WHERE n.as_of < p.created_at + $label_age::INTERVAL
    AND (len(e.missing_blocks) = 0 OR n.as_of >= p.created_at + $waits::INTERVAL)
ORDER BY p.post_id
"""


def make_forecasts(warehouse: Warehouse, *, label_age: timedelta, made_at: datetime) -> int:
    """Write down what each subreddit's champion expects of its young posts, as far as it is not written down yet.

    Args:
        warehouse: marts.predictions and models.champions are up to date.
        label_age: age from which readings count for a label, of `LabelRule`; a post past it that has no label was lost
            sight of, and its score can be known.
        made_at: the time, UTC, without zone.

    Returns:
        Number of new forecasts.
    """
    with warehouse.write() as writer:
        return writer.execute(_MAKE, {"made_at": made_at, "label_age": label_age, "waits": WAITS_FOR_FEATURES})

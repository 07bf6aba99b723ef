-- What is expected of the posts that are still young, and what became of the forecasts that came due last?

-- The 20 newest of each subreddit. Points: the log scores of the forecast, brought back. A score outside of the 80 %
-- interval is nothing wrong: one in five should be.
SELECT
    f.subreddit,
    f.post_id,
    p.created_at,
    p.caption,
    f.predictor,
    round(f.age_hours, 1) AS age_hours,
    round(f.expected_score, 1) AS expected_score,
    round(sign(f.low_80) * (exp(abs(f.low_80)) - 1), 1) AS low_80,
    round(sign(f.high_80) * (exp(abs(f.high_80)) - 1), 1) AS high_80,
    round(f.percentile, 3) AS expected_percentile,
    f.score,
    round(f.actual_percentile, 3) AS percentile,
    CASE WHEN f.score IS NULL THEN 'waiting' WHEN f.low_80 IS NULL THEN 'no interval'
        WHEN f.inside_80 THEN 'inside' WHEN f.log_score < f.low_80 THEN 'below' ELSE 'above' END AS outcome
FROM marts.forecast_outcomes AS f
JOIN core.posts AS p USING (post_id)
QUALIFY row_number() OVER (PARTITION BY f.subreddit ORDER BY p.created_at DESC, f.post_id) <= 20
ORDER BY f.subreddit, p.created_at DESC, f.post_id;

-- How often is the score inside of the interval that a predictor gave, on posts it has never seen?

-- Test part, per subreddit and predictor; and for posts of which it expected less or more than of the middle one, as
-- errors grow with the score. 50, 80 and 90 % would be right; the standard error takes posts for independent.
WITH tested AS (
    SELECT
        e.*,
        t.log_score,
        ntile(2) OVER (PARTITION BY e.subreddit, e.predictor ORDER BY e.expected_log_score, e.post_id) AS half
    FROM marts.predictions AS e
    JOIN models.training_set AS t USING (post_id)
    WHERE t.split = 'test' AND e.low_50 IS NOT NULL
)
SELECT
    subreddit,
    predictor,
    coalesce(CASE half WHEN 1 THEN 'lower half' WHEN 2 THEN 'upper half' END, 'all') AS expected,
    count(*) AS posts,
    round(avg((log_score BETWEEN low_50 AND high_50)::INTEGER), 3) AS coverage_50,
    round(avg((log_score BETWEEN low_80 AND high_80)::INTEGER), 3) AS coverage_80,
    round(avg((log_score BETWEEN low_90 AND high_90)::INTEGER), 3) AS coverage_90,
    round(sqrt(0.8 * 0.2 / nullif(count(low_80), 0)), 3) AS standard_error_80,
    round(avg(high_80 - low_80), 3) AS mean_width_80
FROM tested
GROUP BY GROUPING SETS ((subreddit, predictor), (subreddit, predictor, half))
ORDER BY subreddit, predictor, expected;

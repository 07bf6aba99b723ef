-- Which posts surprised the best predictor of each subreddit most?

-- Test posts only: the predictor never saw their scores. Positive surprises did better than expected.
WITH best AS (
    SELECT subreddit, predictor, digest, untrained_weights
    FROM marts.leaderboard
    WHERE spearman IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY subreddit ORDER BY spearman DESC, predictor) = 1
)
SELECT
    b.subreddit,
    b.predictor,
    b.untrained_weights,
    p.post_id,
    p.created_at,
    p.caption,
    p.score,
    round(e.expected_score, 1) AS expected_score,
    round(p.percentile, 3) AS percentile,
    round(e.percentile, 3) AS expected_percentile,
    round(p.log_score - e.expected_log_score, 3) AS surprise
FROM best AS b
JOIN marts.predictions AS e USING (subreddit, predictor, digest)
JOIN marts.posts AS p USING (post_id)
WHERE e.split = 'test' AND p.log_score IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY b.subreddit ORDER BY abs(p.log_score - e.expected_log_score) DESC, p.post_id
) <= 10
ORDER BY b.subreddit, abs(p.log_score - e.expected_log_score) DESC, p.post_id;

-- Of which posts that are still too young for a label does the best predictor of each subreddit expect most?

-- Only posts still being followed: their latest reading is at most a day older than the newest one of the subreddit.
-- Points, like the range that should hold 80 of 100 scores.
WITH best AS (
    SELECT subreddit, predictor, digest, untrained_weights
    FROM marts.leaderboard
    WHERE spearman IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY subreddit ORDER BY spearman DESC, predictor) = 1
),
latest AS (
    SELECT
        post_id,
        max(observed_at) AS observed_at,
        arg_max(score, observed_at) FILTER (NOT coalesce(hide_score, FALSE)) AS score_so_far
    FROM raw.observations
    GROUP BY post_id
),
newest AS (SELECT subreddit, max(observed_at) AS observed_at FROM raw.observations GROUP BY subreddit)
SELECT
    b.subreddit,
    b.predictor,
    b.untrained_weights,
    p.post_id,
    p.created_at,
    p.caption,
    round(e.expected_score, 1) AS expected_score,
    round(sign(e.low_80) * (exp(abs(e.low_80)) - 1), 1) AS low_80,
    round(sign(e.high_80) * (exp(abs(e.high_80)) - 1), 1) AS high_80,
    round(e.percentile, 3) AS expected_percentile,
    l.score_so_far,
    round(epoch(l.observed_at - p.created_at) / 3600, 1) AS age_hours
FROM best AS b
JOIN marts.predictions AS e USING (subreddit, predictor, digest)
JOIN core.posts AS p USING (post_id)
JOIN latest AS l USING (post_id)
JOIN newest AS n ON n.subreddit = b.subreddit
ANTI JOIN core.labels AS d ON d.post_id = p.post_id
WHERE l.observed_at >= n.observed_at - INTERVAL 1 DAY
QUALIFY row_number() OVER (PARTITION BY b.subreddit ORDER BY e.expected_log_score DESC, p.post_id) <= 10
ORDER BY b.subreddit, e.expected_log_score DESC, p.post_id;

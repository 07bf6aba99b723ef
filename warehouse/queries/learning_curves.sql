-- What do more posts gain a predictor, and what limits it: posts, luck, or what it sees?

-- It was trained with the newest so many posts of the train part. As of the last `redpop analyse`; 95 % bootstrap intervals
-- that resample authors.
SELECT
    subreddit,
    predictor,
    posts,
    round(spearman, 3) AS spearman,
    round(spearman_low, 3) AS spearman_low,
    round(spearman_high, 3) AS spearman_high,
    round(gain, 3) AS gained_by_doubling,
    round(gain_low, 3) AS gained_low,
    round(gain_high, 3) AS gained_high,
    round(reachable, 3) AS reachable_at_least,
    limited_by,
    reason
FROM marts.learning_curves
ORDER BY subreddit, predictor, posts;

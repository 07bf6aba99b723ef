-- What does every metric say of each predictor, and what would a guess reach?

-- Within subreddits, all targets. An interval that holds the value of chance is no evidence of skill; of errors (mae, mse,
-- rmse, median_absolute_error) less is better. For one predictor: WHERE predictor = '...'.
SELECT
    subreddit,
    predictor,
    target,
    metric,
    round(value, 3) AS value,
    round(low, 3) AS low,
    round(high, 3) AS high,
    round(chance, 3) AS chance,
    CASE WHEN low IS NOT NULL AND chance IS NOT NULL THEN low > chance END AS above_chance,
    n,
    note
FROM marts.metrics
WHERE scope = 'subreddit'
ORDER BY subreddit, predictor, target, metric;

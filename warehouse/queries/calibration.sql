-- Do posts of which a predictor expects more really score more?

-- Test posts of each subreddit and predictor in five equal groups, from the least to the most expected. A calibrated
-- predictor has equal means of expected and actual log score in every group.
WITH tested AS (
    SELECT
        e.subreddit,
        e.predictor,
        m.untrained_weights,
        e.expected_log_score,
        t.log_score,
        ntile(5) OVER (PARTITION BY e.subreddit, e.predictor ORDER BY e.expected_log_score, e.post_id) AS fifth
    FROM marts.predictions AS e
    JOIN models.training_set AS t USING (post_id)
    JOIN models.predictors AS m ON m.subreddit = e.subreddit AND m.predictor = e.predictor
    WHERE t.split = 'test'
)
SELECT
    subreddit,
    predictor,
    untrained_weights,
    fifth,
    count(*) AS posts,
    round(avg(expected_log_score), 3) AS mean_expected_log_score,
    round(avg(log_score), 3) AS mean_log_score,
    round(avg(log_score - expected_log_score), 3) AS bias
FROM tested
GROUP BY ALL
ORDER BY subreddit, predictor, fifth;

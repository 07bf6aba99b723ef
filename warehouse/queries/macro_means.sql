-- Which predictor is best over all communities, each counting alike?

-- Mean over the subreddits with at least 30 test posts. The pooled value beside it says mostly which community is large:
-- it is shown so that nobody takes it for the result.
SELECT
    m.predictor,
    m.metric,
    round(m.value, 3) AS mean,
    round(m.low, 3) AS low,
    round(m.high, 3) AS high,
    m.subreddits,
    m.n AS test_posts,
    round(p.value, 3) AS pooled_do_not_use,
    m.note
FROM marts.metrics AS m
LEFT JOIN marts.metrics AS p
    ON p.scope = 'pooled' AND p.predictor = m.predictor AND p.target = m.target AND p.metric = m.metric
WHERE m.scope = 'macro_mean' AND m.target = 'log_score' AND m.metric IN ('spearman', 'mae', 'rmse', 'pair_accuracy')
ORDER BY m.metric, if(m.metric IN ('mae', 'rmse'), -1, 1) * m.value DESC NULLS LAST, m.predictor;

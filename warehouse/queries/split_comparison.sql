-- How much do other splits flatter a predictor?

-- Each predictor trained again under each split, within its subreddit, beside the split by time. A random split lets it
-- learn from the same authors and the same weeks as the test posts; the test posts differ, so compare with the intervals.
SELECT
    s.subreddit,
    s.predictor,
    s.split,
    round(s.spearman, 3) AS spearman,
    round(s.spearman_low, 3) AS spearman_low,
    round(s.spearman_high, 3) AS spearman_high,
    round(s.spearman - t.spearman, 3) AS more_than_by_time,
    round(s.pair_accuracy, 3) AS pair_accuracy,
    round(s.mae, 3) AS mae,
    s.train_posts,
    s.test_posts,
    coalesce(s.reason, s.note, s.status) AS outcome
FROM marts.split_comparison AS s
LEFT JOIN marts.split_comparison AS t
    ON t.subreddit = s.subreddit AND t.predictor = s.predictor AND t.split = 'time'
ORDER BY s.subreddit, s.predictor, if(s.split = 'time', 0, 1), s.split;

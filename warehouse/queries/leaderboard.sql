-- Which predictor is best in each subreddit, and how sure is that?

-- Metrics of the test part, with 95 % bootstrap intervals that resample authors and pictures. Compare within a subreddit
-- only. Nobody is "best" who is not better than every other beyond chance; "among_best" is not worse than the first one.
SELECT
    subreddit,
    predictor,
    standing,
    round(spearman, 3) AS spearman,
    round(spearman_low, 3) AS spearman_low,
    round(spearman_high, 3) AS spearman_high,
    round(pair_accuracy, 3) AS pair_accuracy,
    round(pair_accuracy_low, 3) AS pair_accuracy_low,
    round(pair_accuracy_high, 3) AS pair_accuracy_high,
    round(mae, 3) AS mae,
    round(smallest_detectable, 3) AS smallest_detectable,
    test_posts,
    pairs,
    untrained_weights,
    coalesce(reason, status) AS outcome
FROM marts.leaderboard
ORDER BY subreddit, marts.leaderboard.spearman DESC NULLS LAST, predictor;

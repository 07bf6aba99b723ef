-- Does a predictor that is trained on permuted labels find anything, as it never should?

-- Mean over permutations, with a Student interval. Beside it what the true labels give. As of the last `redpop analyse`.
SELECT
    subreddit,
    predictor,
    test_posts,
    permutations,
    round(spearman, 3) AS spearman,
    round(spearman_low, 3) AS spearman_low,
    round(spearman_high, 3) AS spearman_high,
    round(true_spearman, 3) AS true_spearman,
    CASE WHEN covers_zero THEN 'nothing found' WHEN NOT covers_zero THEN 'SOMETHING LEAKS' END AS verdict,
    reason
FROM marts.shuffled_labels
ORDER BY subreddit, predictor;

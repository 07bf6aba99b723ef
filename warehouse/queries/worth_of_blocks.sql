-- What is each block of features worth to a predictor, alone and beside all others?

-- The predictor was trained again with the block alone and without it. `missed` is what its absence costs. As of the last
-- `redpop analyse`; 95 % bootstrap intervals that resample authors.
SELECT
    subreddit,
    predictor,
    block,
    round(max(spearman) FILTER (variant = 'only'), 3) AS spearman_alone,
    round(max(spearman_low) FILTER (variant = 'only'), 3) AS alone_low,
    round(max(spearman_high) FILTER (variant = 'only'), 3) AS alone_high,
    round(-max(difference) FILTER (variant = 'without'), 3) AS missed,
    round(-max(difference_high) FILTER (variant = 'without'), 3) AS missed_low,
    round(-max(difference_low) FILTER (variant = 'without'), 3) AS missed_high,
    max(reason) AS reason
FROM marts.ablation
WHERE variant <> 'all'
GROUP BY ALL
ORDER BY subreddit, predictor, missed DESC NULLS LAST, spearman_alone DESC NULLS LAST, block;

-- How much of a predictor's skill is left on posts that were found in `new`, and how much on those found in `top`?

-- Posts found in `top` are there because they scored: they are judged apart; a post seen in both counts in both. As of the
-- last `redpop analyse`; test posts only, with 95 % bootstrap intervals that resample authors.
SELECT
    subreddit,
    predictor,
    slice AS found_in,
    posts,
    authors,
    round(spearman, 3) AS spearman,
    round(spearman_low, 3) AS spearman_low,
    round(spearman_high, 3) AS spearman_high,
    round(mae, 3) AS mae,
    round(bias, 3) AS bias,
    round(bias_low, 3) AS bias_low,
    round(bias_high, 3) AS bias_high,
    reason
FROM marts.error_slices
WHERE dimension = 'listing'
ORDER BY subreddit, predictor, found_in;

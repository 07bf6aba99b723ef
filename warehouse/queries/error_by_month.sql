-- Do predictors get worse as time goes by?

-- Bias is actual minus expected log score of the test posts of a month. As of the last `redpop analyse`.
SELECT
    subreddit,
    predictor,
    slice AS month,
    posts,
    round(mae, 3) AS mae,
    round(bias, 3) AS bias,
    round(bias_low, 3) AS bias_low,
    round(bias_high, 3) AS bias_high,
    bias_low > 0 OR bias_high < 0 AS beyond_chance
FROM marts.error_slices
WHERE dimension = 'month' AND bias IS NOT NULL
ORDER BY subreddit, predictor, month;

-- How did the forecasts of posts that nobody knew the score of turn out?

-- Errors are of the log score. What anybody can say who knows nothing is the median: an error that is not below that of
-- the median is worth nothing. Of the intervals 50, 80 and 90 % of the scores should be inside.
SELECT
    subreddit,
    predictor,
    month,
    forecasts,
    scored,
    round(mae, 3) AS mae,
    round(median_mae, 3) AS median_mae,
    round(bias, 3) AS bias,
    round(spearman, 3) AS spearman,
    round(coverage_50, 3) AS coverage_50,
    round(coverage_80, 3) AS coverage_80,
    round(coverage_90, 3) AS coverage_90,
    round(exp(mean_width_80), 1) AS factor_80
FROM marts.forecast_accuracy
ORDER BY subreddit, month DESC, predictor;

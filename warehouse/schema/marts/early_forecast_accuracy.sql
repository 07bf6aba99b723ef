CREATE OR REPLACE VIEW marts.early_forecast_accuracy AS
WITH ranked AS (
    SELECT
        *,
        date_trunc('month', as_of)::DATE AS month,
        -- Equal values share their mean rank; the constant one half does not matter to a correlation.
        rank() OVER (PARTITION BY subreddit, age_hours, predictor, date_trunc('month', as_of), scored ORDER BY expected_log_score)
        + count(*) OVER (PARTITION BY subreddit, age_hours, predictor, date_trunc('month', as_of), scored, expected_log_score) / 2
            AS expected_rank,
        rank() OVER (PARTITION BY subreddit, age_hours, predictor, date_trunc('month', as_of), scored ORDER BY log_score)
        + count(*) OVER (PARTITION BY subreddit, age_hours, predictor, date_trunc('month', as_of), scored, log_score) / 2
            AS actual_rank
    FROM (SELECT *, log_score IS NOT NULL AS scored FROM marts.early_forecast_outcomes)
)
SELECT
    subreddit,
    age_hours,
    predictor,
    month,
    count(*) AS forecasts,
    count(log_score) AS scored,
    avg(abs(error)) AS mae,
    avg(abs(median_error)) AS median_mae,
    avg(abs(error)) FILTER (posting_error IS NOT NULL) AS mae_beside_posting,
    avg(abs(posting_error)) AS posting_mae,
    avg(error) AS bias,
    -- The correlation with a constant, and that of two posts, is undefined, here NULL.
    CASE WHEN count(log_score) >= 3
        AND count(DISTINCT expected_rank) FILTER (scored) > 1 AND count(DISTINCT actual_rank) FILTER (scored) > 1
        THEN greatest(-1, least(corr(expected_rank, actual_rank) FILTER (scored), 1)) END AS spearman,
    avg(inside_50::INTEGER) AS coverage_50,
    avg(inside_80::INTEGER) AS coverage_80,
    avg(inside_90::INTEGER) AS coverage_90,
    avg(high_80 - low_80) FILTER (scored) AS mean_width_80
FROM ranked
GROUP BY ALL;
COMMENT ON VIEW marts.early_forecast_accuracy IS 'How the forecasts that followed a post turned out, by subreddit, age, predictor and month: beside marts.forecast_accuracy, which has those made at posting. | key: subreddit, age_hours, predictor, month';
COMMENT ON COLUMN marts.early_forecast_accuracy.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.early_forecast_accuracy.age_hours IS 'Age up to which readings were looked at (hours).';
COMMENT ON COLUMN marts.early_forecast_accuracy.predictor IS 'What made the forecasts (models.early_predictors).';
COMMENT ON COLUMN marts.early_forecast_accuracy.month IS 'First day of the month of as_of, in which they were made by the clock of the source (UTC).';
COMMENT ON COLUMN marts.early_forecast_accuracy.forecasts IS 'Forecasts made in it.';
COMMENT ON COLUMN marts.early_forecast_accuracy.scored IS 'Those whose posts have matured since; the others are too young still or were removed.';
COMMENT ON COLUMN marts.early_forecast_accuracy.mae IS 'Mean absolute error of the log score, of those scored; NULL if there is none, like all that follows.';
COMMENT ON COLUMN marts.early_forecast_accuracy.median_mae IS 'That of who always says the median of the train part: forecasts that are worse were worth nothing.';
COMMENT ON COLUMN marts.early_forecast_accuracy.mae_beside_posting IS 'That of the forecasts whose posts had been forecast at posting, too.';
COMMENT ON COLUMN marts.early_forecast_accuracy.posting_mae IS 'That of the forecasts at posting of the same posts (marts.forecasts): what the readings added.';
COMMENT ON COLUMN marts.early_forecast_accuracy.bias IS 'Mean of expected minus actual log score: above 0 the forecasts were too high.';
COMMENT ON COLUMN marts.early_forecast_accuracy.spearman IS 'Spearman rank correlation of expected and actual score, average ranks for ties; NULL below 3 posts and for a constant.';
COMMENT ON COLUMN marts.early_forecast_accuracy.coverage_50 IS 'Share of the scores inside of the 50 % interval: 0.5 is what it should be.';
COMMENT ON COLUMN marts.early_forecast_accuracy.coverage_80 IS 'Share inside of the 80 % interval.';
COMMENT ON COLUMN marts.early_forecast_accuracy.coverage_90 IS 'Share inside of the 90 % interval.';
COMMENT ON COLUMN marts.early_forecast_accuracy.mean_width_80 IS 'Mean width of the 80 % interval (log score).';

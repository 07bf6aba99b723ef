CREATE OR REPLACE VIEW marts.forecast_accuracy AS
WITH ranked AS (
    SELECT
        *,
        date_trunc('month', as_of)::DATE AS month,
        -- Equal values share their mean rank; the constant one half does not matter to a correlation.
        rank() OVER (PARTITION BY subreddit, predictor, date_trunc('month', as_of), scored ORDER BY expected_log_score)
        + count(*) OVER (PARTITION BY subreddit, predictor, date_trunc('month', as_of), scored, expected_log_score) / 2
            AS expected_rank,
        rank() OVER (PARTITION BY subreddit, predictor, date_trunc('month', as_of), scored ORDER BY log_score)
        + count(*) OVER (PARTITION BY subreddit, predictor, date_trunc('month', as_of), scored, log_score) / 2
            AS actual_rank
    FROM (SELECT *, log_score IS NOT NULL AS scored FROM marts.forecast_outcomes)
)
SELECT
    subreddit,
    predictor,
    month,
    count(*) AS forecasts,
    count(log_score) AS scored,
    avg(abs(error)) AS mae,
    avg(abs(median_error)) AS median_mae,
    avg(error) AS bias,
    -- The correlation with a constant, and that of two posts, is undefined, here NULL.
    CASE WHEN count(log_score) >= 3
        AND count(DISTINCT expected_rank) FILTER (scored) > 1 AND count(DISTINCT actual_rank) FILTER (scored) > 1
        THEN greatest(-1, least(corr(expected_rank, actual_rank) FILTER (scored), 1)) END AS spearman,
    avg(inside_50::INTEGER) AS coverage_50,
    avg(inside_80::INTEGER) AS coverage_80,
    avg(inside_90::INTEGER) AS coverage_90,
    avg(high_80 - low_80) FILTER (scored) AS mean_width_80,
    count(*) FILTER (scored AND missing_blocks <> []) AS scored_with_missing_blocks,
    avg(age_hours) AS mean_age_hours
FROM ranked
GROUP BY ALL;
COMMENT ON VIEW marts.forecast_accuracy IS 'How the forecasts of posts that nobody knew the score of turned out, by subreddit, champion and month. | key: subreddit, predictor, month';
COMMENT ON COLUMN marts.forecast_accuracy.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.forecast_accuracy.predictor IS 'The champion that made the forecasts.';
COMMENT ON COLUMN marts.forecast_accuracy.month IS 'First day of the month of as_of, in which they were made by the clock of the source (UTC).';
COMMENT ON COLUMN marts.forecast_accuracy.forecasts IS 'Forecasts made in it.';
COMMENT ON COLUMN marts.forecast_accuracy.scored IS 'Those whose posts have matured since; the others are too young still or were removed.';
COMMENT ON COLUMN marts.forecast_accuracy.mae IS 'Mean absolute error of the log score, of those scored; NULL if there is none, like all that follows.';
COMMENT ON COLUMN marts.forecast_accuracy.median_mae IS 'That of who always says the median of the train part: forecasts that are worse were worth nothing.';
COMMENT ON COLUMN marts.forecast_accuracy.bias IS 'Mean of expected minus actual log score: above 0 the forecasts were too high.';
COMMENT ON COLUMN marts.forecast_accuracy.spearman IS 'Spearman rank correlation of expected and actual score, average ranks for ties; NULL below 3 posts and for a constant.';
COMMENT ON COLUMN marts.forecast_accuracy.coverage_50 IS 'Share of the scores inside of the 50 % interval: 0.5 is what it should be.';
COMMENT ON COLUMN marts.forecast_accuracy.coverage_80 IS 'Share inside of the 80 % interval.';
COMMENT ON COLUMN marts.forecast_accuracy.coverage_90 IS 'Share inside of the 90 % interval.';
COMMENT ON COLUMN marts.forecast_accuracy.mean_width_80 IS 'Mean width of the 80 % interval (log score).';
COMMENT ON COLUMN marts.forecast_accuracy.scored_with_missing_blocks IS 'Scored forecasts that had to do without a block of features, such as a dead picture.';
COMMENT ON COLUMN marts.forecast_accuracy.mean_age_hours IS 'Mean age of the posts when the forecasts were made (hours).';

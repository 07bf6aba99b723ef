CREATE OR REPLACE VIEW marts.early_forecast_outcomes AS
SELECT
    f.post_id,
    f.subreddit,
    f.age_hours,
    f.predictor,
    f.digest,
    f.made_at,
    f.as_of,
    f.read_at,
    f.expected_log_score,
    f.expected_score,
    f.percentile,
    f.low_50,
    f.high_50,
    f.low_80,
    f.high_80,
    f.low_90,
    f.high_90,
    f.median_log_score,
    l.score,
    l.log_score,
    l.percentile AS actual_percentile,
    f.expected_log_score - l.log_score AS error,
    f.median_log_score - l.log_score AS median_error,
    p.expected_log_score - l.log_score AS posting_error,
    l.log_score BETWEEN f.low_50 AND f.high_50 AS inside_50,
    l.log_score BETWEEN f.low_80 AND f.high_80 AS inside_80,
    l.log_score BETWEEN f.low_90 AND f.high_90 AS inside_90
FROM marts.early_forecasts AS f
LEFT JOIN core.labels AS l USING (post_id)
LEFT JOIN marts.forecasts AS p USING (post_id);
COMMENT ON VIEW marts.early_forecast_outcomes IS 'Each forecast that followed a post beside what came of it, and beside what had been expected without its readings. | key: post_id, age_hours';
COMMENT ON COLUMN marts.early_forecast_outcomes.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.early_forecast_outcomes.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.early_forecast_outcomes.age_hours IS 'Age up to which its readings were looked at (hours).';
COMMENT ON COLUMN marts.early_forecast_outcomes.predictor IS 'The predictor that speaks at that age (models.early_predictors).';
COMMENT ON COLUMN marts.early_forecast_outcomes.digest IS 'Digest of its model.';
COMMENT ON COLUMN marts.early_forecast_outcomes.made_at IS 'When it was written down, by this machine''s clock (UTC).';
COMMENT ON COLUMN marts.early_forecast_outcomes.as_of IS 'Newest reading of the subreddit at that time, by the clock of the source (UTC): the score could not be known then.';
COMMENT ON COLUMN marts.early_forecast_outcomes.read_at IS 'Time of the newest reading of the post that was looked at (UTC).';
COMMENT ON COLUMN marts.early_forecast_outcomes.expected_log_score IS 'Expected sign(score) * ln(1 + |score|) at the label age.';
COMMENT ON COLUMN marts.early_forecast_outcomes.expected_score IS 'The score at that log score: the inverse transform, nearer to a median than to a mean.';
COMMENT ON COLUMN marts.early_forecast_outcomes.percentile IS 'Share of the labelled posts of the subreddit that had scored less, from 0 to 1, ties half.';
COMMENT ON COLUMN marts.early_forecast_outcomes.low_50 IS 'Lower end of the 50 % interval of the log score; NULL where too few posts could tell.';
COMMENT ON COLUMN marts.early_forecast_outcomes.high_50 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_forecast_outcomes.low_80 IS 'Lower end of the 80 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN marts.early_forecast_outcomes.high_80 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_forecast_outcomes.low_90 IS 'Lower end of the 90 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN marts.early_forecast_outcomes.high_90 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_forecast_outcomes.median_log_score IS 'Median of the train part at that time: what somebody expects who knows nothing of the post.';
COMMENT ON COLUMN marts.early_forecast_outcomes.score IS 'Score at the label age (core.labels); NULL until the post has matured, and for ever if it was removed before, as all that follows.';
COMMENT ON COLUMN marts.early_forecast_outcomes.log_score IS 'sign(score) * ln(1 + |score|).';
COMMENT ON COLUMN marts.early_forecast_outcomes.actual_percentile IS 'Mid-rank of the score among the labels of the subreddit, from 0 to 1.';
COMMENT ON COLUMN marts.early_forecast_outcomes.error IS 'Expected minus actual log score.';
COMMENT ON COLUMN marts.early_forecast_outcomes.median_error IS 'The same of the median of the train part.';
COMMENT ON COLUMN marts.early_forecast_outcomes.posting_error IS 'The same of the forecast of this post that was written down without its readings (marts.forecasts); NULL without one.';
COMMENT ON COLUMN marts.early_forecast_outcomes.inside_50 IS 'Whether the score is inside of the 50 % interval.';
COMMENT ON COLUMN marts.early_forecast_outcomes.inside_80 IS 'Whether it is inside of the 80 % interval.';
COMMENT ON COLUMN marts.early_forecast_outcomes.inside_90 IS 'Whether it is inside of the 90 % interval.';

CREATE TABLE IF NOT EXISTS marts.early_forecasts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    age_hours INTEGER NOT NULL,
    predictor VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    made_at TIMESTAMP NOT NULL,
    as_of TIMESTAMP NOT NULL,
    read_at TIMESTAMP NOT NULL,
    expected_log_score DOUBLE NOT NULL,
    expected_score DOUBLE NOT NULL,
    percentile DOUBLE NOT NULL,
    low_50 DOUBLE,
    high_50 DOUBLE,
    low_80 DOUBLE,
    high_80 DOUBLE,
    low_90 DOUBLE,
    high_90 DOUBLE,
    median_log_score DOUBLE NOT NULL
);
COMMENT ON TABLE marts.early_forecasts IS 'What was expected of each young post once its readings by an age had arrived: written down once per post and age, never changed, and compared with the score when that has matured (marts.early_forecast_outcomes). | key: post_id, age_hours';
COMMENT ON COLUMN marts.early_forecasts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.early_forecasts.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.early_forecasts.age_hours IS 'Age up to which its readings were looked at (hours).';
COMMENT ON COLUMN marts.early_forecasts.predictor IS 'The predictor that speaks at that age (models.early_predictors).';
COMMENT ON COLUMN marts.early_forecasts.digest IS 'Digest of its model.';
COMMENT ON COLUMN marts.early_forecasts.made_at IS 'When it was written down, by this machine''s clock (UTC).';
COMMENT ON COLUMN marts.early_forecasts.as_of IS 'Newest reading of the subreddit at that time, by the clock of the source (UTC): the score could not be known then.';
COMMENT ON COLUMN marts.early_forecasts.read_at IS 'Time of the newest reading of the post that was looked at (UTC).';
COMMENT ON COLUMN marts.early_forecasts.expected_log_score IS 'Expected sign(score) * ln(1 + |score|) at the label age.';
COMMENT ON COLUMN marts.early_forecasts.expected_score IS 'The score at that log score: the inverse transform, nearer to a median than to a mean.';
COMMENT ON COLUMN marts.early_forecasts.percentile IS 'Share of the labelled posts of the subreddit that had scored less, from 0 to 1, ties half.';
COMMENT ON COLUMN marts.early_forecasts.low_50 IS 'Lower end of the 50 % interval of the log score; NULL where too few posts could tell.';
COMMENT ON COLUMN marts.early_forecasts.high_50 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_forecasts.low_80 IS 'Lower end of the 80 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN marts.early_forecasts.high_80 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_forecasts.low_90 IS 'Lower end of the 90 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN marts.early_forecasts.high_90 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_forecasts.median_log_score IS 'Median of the train part at that time: what somebody expects who knows nothing of the post.';

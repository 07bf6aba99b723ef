CREATE TABLE IF NOT EXISTS marts.forecasts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    made_at TIMESTAMP NOT NULL,
    as_of TIMESTAMP NOT NULL,
    age_hours DOUBLE NOT NULL,
    expected_log_score DOUBLE NOT NULL,
    expected_score DOUBLE NOT NULL,
    percentile DOUBLE NOT NULL,
    low_50 DOUBLE,
    high_50 DOUBLE,
    low_80 DOUBLE,
    high_80 DOUBLE,
    low_90 DOUBLE,
    high_90 DOUBLE,
    median_log_score DOUBLE NOT NULL,
    missing_blocks VARCHAR[] NOT NULL
);
COMMENT ON TABLE marts.forecasts IS 'What the champion expected of each post while it was too young for a label: written down once, never changed, and compared with the score when that has matured (marts.forecast_outcomes). | key: post_id';
COMMENT ON COLUMN marts.forecasts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.forecasts.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.forecasts.predictor IS 'The champion of the subreddit at that time.';
COMMENT ON COLUMN marts.forecasts.digest IS 'Digest of its model (models.predictors).';
COMMENT ON COLUMN marts.forecasts.made_at IS 'When it was written down, by this machine''s clock (UTC).';
COMMENT ON COLUMN marts.forecasts.as_of IS 'Newest reading of the subreddit at that time, by the clock of the source (UTC): nothing later was known.';
COMMENT ON COLUMN marts.forecasts.age_hours IS 'Age of the post at as_of (hours), below the label age.';
COMMENT ON COLUMN marts.forecasts.expected_log_score IS 'Expected sign(score) * ln(1 + |score|) at the label age.';
COMMENT ON COLUMN marts.forecasts.expected_score IS 'The score at that log score: the inverse transform, nearer to a median than to a mean.';
COMMENT ON COLUMN marts.forecasts.percentile IS 'Share of the labelled posts of the subreddit that had scored less, from 0 to 1, ties half.';
COMMENT ON COLUMN marts.forecasts.low_50 IS 'Lower end of the 50 % interval of the log score; NULL where too few posts could tell (marts.predictions).';
COMMENT ON COLUMN marts.forecasts.high_50 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.forecasts.low_80 IS 'Lower end of the 80 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN marts.forecasts.high_80 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.forecasts.low_90 IS 'Lower end of the 90 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN marts.forecasts.high_90 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.forecasts.median_log_score IS 'Median of the train part at that time: what somebody expects who knows nothing of the post.';
COMMENT ON COLUMN marts.forecasts.missing_blocks IS 'Feature blocks of the model that the post lacked, such as those of a dead picture.';

CREATE TABLE IF NOT EXISTS models.early_predictions (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    age_hours INTEGER NOT NULL,
    split VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    expected_log_score DOUBLE NOT NULL,
    low_50 DOUBLE,
    high_50 DOUBLE,
    low_80 DOUBLE,
    high_80 DOUBLE,
    low_90 DOUBLE,
    high_90 DOUBLE
);
COMMENT ON TABLE models.early_predictions IS 'What the predictors that follow a post expected of posts that they had not learnt from, from the readings by an age. | key: post_id, predictor, age_hours';
COMMENT ON COLUMN models.early_predictions.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN models.early_predictions.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.early_predictions.predictor IS 'Short name (models.early_predictors), or at_posting: the champion, which sees no reading, of the same posts.';
COMMENT ON COLUMN models.early_predictions.age_hours IS 'Age up to which readings were looked at (hours).';
COMMENT ON COLUMN models.early_predictions.split IS 'test, or validation.';
COMMENT ON COLUMN models.early_predictions.digest IS 'Digest of the model.';
COMMENT ON COLUMN models.early_predictions.expected_log_score IS 'Expected sign(score) * ln(1 + |score|) at the label age.';
COMMENT ON COLUMN models.early_predictions.low_50 IS 'Lower end of the 50 % interval of the log score; NULL where too few posts could tell.';
COMMENT ON COLUMN models.early_predictions.high_50 IS 'Upper end of that interval.';
COMMENT ON COLUMN models.early_predictions.low_80 IS 'Lower end of the 80 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN models.early_predictions.high_80 IS 'Upper end of that interval.';
COMMENT ON COLUMN models.early_predictions.low_90 IS 'Lower end of the 90 % interval of the log score; NULL likewise.';
COMMENT ON COLUMN models.early_predictions.high_90 IS 'Upper end of that interval.';

CREATE TABLE IF NOT EXISTS models.validation_predictions (
    post_id VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    expected_log_score DOUBLE NOT NULL
);
COMMENT ON TABLE models.validation_predictions IS 'What each predictor expected of the posts of the validation part before it learnt from them, if it ever did: prediction intervals and the choice of a champion rest on it, and marts.predictions would flatter. | key: post_id, predictor';
COMMENT ON COLUMN models.validation_predictions.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN models.validation_predictions.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN models.validation_predictions.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.validation_predictions.digest IS 'Digest of the model whose training this was (models.predictors).';
COMMENT ON COLUMN models.validation_predictions.expected_log_score IS 'Expected sign(score) * ln(1 + |score|) at the label age.';

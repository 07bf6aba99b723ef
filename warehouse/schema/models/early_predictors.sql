CREATE TABLE IF NOT EXISTS models.early_predictors (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    age_hours INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    inputs VARCHAR NOT NULL,
    digest VARCHAR,
    speaks BOOLEAN NOT NULL,
    posting_predictor VARCHAR,
    posting_digest VARCHAR,
    encoders VARCHAR NOT NULL,
    label_hours DOUBLE NOT NULL,
    train_posts INTEGER NOT NULL,
    validation_posts INTEGER NOT NULL,
    test_posts INTEGER NOT NULL,
    validation_mse DOUBLE,
    train_seconds DOUBLE NOT NULL,
    trained_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE models.early_predictors IS 'Predictors that follow a post: what each makes of the readings by an age, learnt from the posts of models.training_set that have such readings; trained, or why not. | key: subreddit, predictor, age_hours';
COMMENT ON COLUMN models.early_predictors.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.early_predictors.predictor IS 'Short name, such as early_boosting.';
COMMENT ON COLUMN models.early_predictors.age_hours IS 'Age up to which it looks at readings (hours); the model of the whole curve is one, and has a row for each age it is judged at.';
COMMENT ON COLUMN models.early_predictors.status IS 'trained or not_trained.';
COMMENT ON COLUMN models.early_predictors.reason IS 'Why it was not trained, such as too few posts with readings by that age; NULL when trained.';
COMMENT ON COLUMN models.early_predictors.inputs IS 'Digest of training set, readings, champion, code and seed that it was made from.';
COMMENT ON COLUMN models.early_predictors.digest IS 'SHA-256 of its files below models/<subreddit>/<predictor>/; NULL when not trained.';
COMMENT ON COLUMN models.early_predictors.speaks IS 'Whether its forecasts of that age are written down (marts.early_forecasts): the least squared error on the validation part.';
COMMENT ON COLUMN models.early_predictors.posting_predictor IS 'The champion at posting that it is compared with, and that the model of the whole curve starts from; NULL without one.';
COMMENT ON COLUMN models.early_predictors.posting_digest IS 'Digest of that champion (models.predictors).';
COMMENT ON COLUMN models.early_predictors.encoders IS 'The networks behind what it may have learnt from, as JSON.';
COMMENT ON COLUMN models.early_predictors.label_hours IS 'Age at which the labels are made that it expects (hours).';
COMMENT ON COLUMN models.early_predictors.train_posts IS 'Posts of the train part with readings by that age.';
COMMENT ON COLUMN models.early_predictors.validation_posts IS 'Posts of the validation part with such readings, which stop and calibrate it.';
COMMENT ON COLUMN models.early_predictors.test_posts IS 'Posts of the test part with such readings, which judge it.';
COMMENT ON COLUMN models.early_predictors.validation_mse IS 'Mean squared error of the log score on the validation part, of expectations that these posts did not enter.';
COMMENT ON COLUMN models.early_predictors.train_seconds IS 'Wall time of the training (seconds).';
COMMENT ON COLUMN models.early_predictors.trained_at IS 'When it was trained, or could not be, by this machine''s clock (UTC).';

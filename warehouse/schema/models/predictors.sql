CREATE TABLE IF NOT EXISTS models.predictors (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    digest VARCHAR,
    blocks VARCHAR[] NOT NULL,
    notes VARCHAR[] NOT NULL,
    image_encoder VARCHAR,
    caption_encoder VARCHAR,
    clip_encoder VARCHAR,
    object_encoder VARCHAR,
    entity_model VARCHAR,
    emotion_model VARCHAR,
    untrained_weights BOOLEAN NOT NULL,
    train_rows INTEGER NOT NULL,
    validation_rows INTEGER NOT NULL,
    train_seconds DOUBLE NOT NULL,
    trained_at TIMESTAMP NOT NULL,
    networks_ran VARCHAR,
    lenders INTEGER,
    lent_rows INTEGER,
    lent_digest VARCHAR
);
COMMENT ON TABLE models.predictors IS 'The present state of every predictor in every subreddit: trained, or why not. | key: subreddit, predictor';
COMMENT ON COLUMN models.predictors.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.predictors.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN models.predictors.status IS 'trained or not_trained.';
COMMENT ON COLUMN models.predictors.reason IS 'Why it was not trained, such as missing images; NULL when trained.';
COMMENT ON COLUMN models.predictors.snapshot IS 'Snapshot of models.training_set it was trained on.';
COMMENT ON COLUMN models.predictors.code_version IS 'Version of the predictor.';
COMMENT ON COLUMN models.predictors.seed IS 'Seed of the training.';
COMMENT ON COLUMN models.predictors.digest IS 'SHA-256 of its files below models/<subreddit>/<predictor>/; NULL when not trained.';
COMMENT ON COLUMN models.predictors.blocks IS 'Feature blocks it uses.';
COMMENT ON COLUMN models.predictors.notes IS 'Remarks of the training, such as a block left out, or trees that found nothing to add.';
COMMENT ON COLUMN models.predictors.image_encoder IS 'Encoder of the pictures it looks at; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.caption_encoder IS 'Encoder of the captions it looks at; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.clip_encoder IS 'Network that compares pictures and words for it; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.object_encoder IS 'Network that names what pictures show for it; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.entity_model IS 'Model that finds names in captions for it; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.emotion_model IS 'Network that finds emotions in captions for it; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.untrained_weights IS 'True if one of these networks has random weights: a test, not a result.';
COMMENT ON COLUMN models.predictors.train_rows IS 'Posts it was fitted on.';
COMMENT ON COLUMN models.predictors.validation_rows IS 'Posts that stopped the training.';
COMMENT ON COLUMN models.predictors.train_seconds IS 'Wall time of the training (seconds).';
COMMENT ON COLUMN models.predictors.trained_at IS 'When it was trained, by this machine''s clock (UTC).';
COMMENT ON COLUMN models.predictors.networks_ran IS 'How the encoders it looks through ran when it was trained, such as image: torch float32; NULL if it uses none.';
COMMENT ON COLUMN models.predictors.lenders IS 'Other communities whose posts it was fitted on as well; NULL if it borrows from nobody.';
COMMENT ON COLUMN models.predictors.lent_rows IS 'Posts of these; NULL likewise.';
COMMENT ON COLUMN models.predictors.lent_digest IS 'Digest of the posts that other communities had to lend, and their scores: another one trains it again. NULL for predictors that do not borrow.';

CREATE TABLE IF NOT EXISTS models.removal_predictors (
    subreddit VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    posts_digest VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    digest VARCHAR,
    age_hours DOUBLE NOT NULL,
    posts INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    base_rate DOUBLE,
    seen_late INTEGER NOT NULL,
    not_read_in_time INTEGER NOT NULL,
    train_posts INTEGER NOT NULL,
    train_removed INTEGER NOT NULL,
    validation_posts INTEGER NOT NULL,
    validation_removed INTEGER NOT NULL,
    test_posts INTEGER NOT NULL,
    test_removed INTEGER NOT NULL,
    trained_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE models.removal_predictors IS 'What says how likely a post is to be taken down by moderators or filters, in each community: trained, or why not. | key: subreddit';
COMMENT ON COLUMN models.removal_predictors.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.removal_predictors.status IS 'trained or not_trained.';
COMMENT ON COLUMN models.removal_predictors.reason IS 'Why it was not trained, such as too few removals; NULL when trained.';
COMMENT ON COLUMN models.removal_predictors.posts_digest IS 'Digest of the posts it was made from, and of what became of them.';
COMMENT ON COLUMN models.removal_predictors.settings IS 'Shares of the parts, and the ages at which posts are looked at.';
COMMENT ON COLUMN models.removal_predictors.code_version IS 'Version of the predictor and of the rules for outcomes.';
COMMENT ON COLUMN models.removal_predictors.seed IS 'Seed of the training.';
COMMENT ON COLUMN models.removal_predictors.digest IS 'SHA-256 of its files below models/<subreddit>/removal/; NULL when not trained.';
COMMENT ON COLUMN models.removal_predictors.age_hours IS 'Age from which the first reading of a post says whether it was removed (hours).';
COMMENT ON COLUMN models.removal_predictors.posts IS 'Image posts of which it is known whether they were removed: the newest ones, as many as are learnt from at most.';
COMMENT ON COLUMN models.removal_predictors.removed IS 'Those of them that were removed.';
COMMENT ON COLUMN models.removal_predictors.base_rate IS 'Share of them that were removed; NULL without any.';
COMMENT ON COLUMN models.removal_predictors.seen_late IS 'Posts left out because a listing showed them first when they had survived for hours already.';
COMMENT ON COLUMN models.removal_predictors.not_read_in_time IS 'Posts left out because they were not read at that age, or are too young.';
COMMENT ON COLUMN models.removal_predictors.train_posts IS 'Posts it was fitted on.';
COMMENT ON COLUMN models.removal_predictors.train_removed IS 'Those of them that were removed.';
COMMENT ON COLUMN models.removal_predictors.validation_posts IS 'Posts that chose the penalty and calibrated it.';
COMMENT ON COLUMN models.removal_predictors.validation_removed IS 'Those of them that were removed.';
COMMENT ON COLUMN models.removal_predictors.test_posts IS 'Posts that judge it, the newest ones.';
COMMENT ON COLUMN models.removal_predictors.test_removed IS 'Those of them that were removed.';
COMMENT ON COLUMN models.removal_predictors.trained_at IS 'When it was trained, or could not be, by this machine''s clock (UTC).';

CREATE TABLE IF NOT EXISTS models.champions (
    subreddit VARCHAR NOT NULL,
    judgement INTEGER NOT NULL,
    judged_at TIMESTAMP NOT NULL,
    predictor VARCHAR,
    digest VARCHAR,
    promoted BOOLEAN NOT NULL,
    promoted_at TIMESTAMP,
    replaced VARCHAR,
    reason VARCHAR NOT NULL,
    rival VARCHAR,
    test_posts INTEGER NOT NULL,
    mae DOUBLE,
    median_mae DOUBLE,
    rival_mae DOUBLE,
    mae_difference DOUBLE,
    mae_difference_low DOUBLE,
    mae_difference_high DOUBLE,
    p_value DOUBLE,
    validation_mae DOUBLE,
    snapshot VARCHAR NOT NULL,
    inputs VARCHAR NOT NULL
);
COMMENT ON TABLE models.champions IS 'Every judgement of which predictor speaks for a subreddit, with its evidence; the last one holds (marts.champions). Nothing is overwritten. | key: subreddit, judgement';
COMMENT ON COLUMN models.champions.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.champions.judgement IS 'Number of the judgement in the subreddit, from 1. There is a new one when a predictor, the training set or the rules changed.';
COMMENT ON COLUMN models.champions.judged_at IS 'When it was made, by this machine''s clock (UTC).';
COMMENT ON COLUMN models.champions.predictor IS 'The champion from then on; NULL if no predictor may be one.';
COMMENT ON COLUMN models.champions.digest IS 'Digest of its model at that time (models.predictors).';
COMMENT ON COLUMN models.champions.promoted IS 'True if this judgement made it champion, false if it was so before.';
COMMENT ON COLUMN models.champions.promoted_at IS 'Since when it has been the champion, by this machine''s clock (UTC).';
COMMENT ON COLUMN models.champions.replaced IS 'The champion before, where the judgement brought another; NULL for the first.';
COMMENT ON COLUMN models.champions.reason IS 'Why, in a sentence.';
COMMENT ON COLUMN models.champions.rival IS 'Whom it was compared with: its predecessor if it was promoted, else the best of the others on the validation part; NULL if there was nobody.';
COMMENT ON COLUMN models.champions.test_posts IS 'Posts of the test part, the newest that have matured: they judge.';
COMMENT ON COLUMN models.champions.mae IS 'Mean absolute error of the log score of the champion on them.';
COMMENT ON COLUMN models.champions.median_mae IS 'That of the median log score of the train part: nobody who loses to it is champion.';
COMMENT ON COLUMN models.champions.rival_mae IS 'That of the rival.';
COMMENT ON COLUMN models.champions.mae_difference IS 'mae minus rival_mae: below 0 the champion is better.';
COMMENT ON COLUMN models.champions.mae_difference_low IS 'Lower end of its 95 % interval, by a paired bootstrap over authors.';
COMMENT ON COLUMN models.champions.mae_difference_high IS 'Upper end of that interval.';
COMMENT ON COLUMN models.champions.p_value IS 'Two-sided, of the same bootstrap.';
COMMENT ON COLUMN models.champions.validation_mae IS 'Mean absolute error of the champion on the validation part, by which candidates are chosen; it flatters.';
COMMENT ON COLUMN models.champions.snapshot IS 'Snapshot of models.training_set.';
COMMENT ON COLUMN models.champions.inputs IS 'Digest of the models, the training set and the rules that were judged.';

CREATE TABLE IF NOT EXISTS marts.shap (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    block VARCHAR NOT NULL,
    input VARCHAR NOT NULL,
    posts INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    mean_abs DOUBLE NOT NULL,
    share DOUBLE NOT NULL,
    direction DOUBLE,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.shap IS 'Which inputs move the boosted predictors: Shapley values (TreeSHAP, Lundberg et al. 2020) of the newest test posts, at most 2,000. They explain the predictor, not the score. Computed on demand by `redpop analyse`. | key: subreddit, predictor, block, input';
COMMENT ON COLUMN marts.shap.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.shap.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.shap.block IS 'Block of the input; title words for the words of the caption.';
COMMENT ON COLUMN marts.shap.input IS 'Column of the block; component n of a vector; kernel or ridge for what a regression says of the whole block.';
COMMENT ON COLUMN marts.shap.posts IS 'Test posts that were explained.';
COMMENT ON COLUMN marts.shap.rank IS '1 for the input with the largest mean size.';
COMMENT ON COLUMN marts.shap.mean_abs IS 'Mean size of what it added to the expected log score.';
COMMENT ON COLUMN marts.shap.share IS 'Its share of the sizes of all inputs, from 0 to 1.';
COMMENT ON COLUMN marts.shap.direction IS 'Spearman rank correlation of the value of the input and what it added: above 0, more is better; NULL where either is constant.';
COMMENT ON COLUMN marts.shap.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.shap.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

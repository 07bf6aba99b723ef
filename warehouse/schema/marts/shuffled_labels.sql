CREATE TABLE IF NOT EXISTS marts.shuffled_labels (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    test_posts INTEGER NOT NULL,
    permutations INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    spearmans DOUBLE[],
    true_spearman DOUBLE,
    covers_zero BOOLEAN,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.shuffled_labels IS 'What a predictor finds when its labels are permuted among train and validation posts and it is judged on the true labels of the test posts: nothing, unless something leaks. Computed on demand by `redpop analyse`. | key: subreddit, predictor';
COMMENT ON COLUMN marts.shuffled_labels.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.shuffled_labels.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.shuffled_labels.test_posts IS 'Posts of the test part.';
COMMENT ON COLUMN marts.shuffled_labels.permutations IS 'Trainings on permuted labels.';
COMMENT ON COLUMN marts.shuffled_labels.spearman IS 'Mean over permutations of the Spearman rank correlation with the true log score; a constant prediction counts as 0.';
COMMENT ON COLUMN marts.shuffled_labels.spearman_low IS 'Lower end of its 95 % Student interval over permutations.';
COMMENT ON COLUMN marts.shuffled_labels.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.shuffled_labels.spearmans IS 'The correlation of each permutation.';
COMMENT ON COLUMN marts.shuffled_labels.true_spearman IS 'The same after training on the true labels.';
COMMENT ON COLUMN marts.shuffled_labels.covers_zero IS 'Whether the interval covers 0.';
COMMENT ON COLUMN marts.shuffled_labels.reason IS 'Why numbers are missing; NULL if none is.';
COMMENT ON COLUMN marts.shuffled_labels.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.shuffled_labels.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

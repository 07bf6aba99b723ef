CREATE TABLE IF NOT EXISTS marts.ablation (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    variant VARCHAR NOT NULL,
    block VARCHAR NOT NULL,
    test_posts INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    mae DOUBLE,
    difference DOUBLE,
    difference_low DOUBLE,
    difference_high DOUBLE,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.ablation IS 'What each block of features is worth to a predictor: trained again with each block alone and with each one left out, judged on the same test posts. Computed on demand by `redpop analyse`. | key: subreddit, predictor, variant, block';
COMMENT ON COLUMN marts.ablation.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.ablation.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.ablation.variant IS 'all blocks, only this one, or all without it.';
COMMENT ON COLUMN marts.ablation.block IS 'The block; empty for all.';
COMMENT ON COLUMN marts.ablation.test_posts IS 'Posts of the test part.';
COMMENT ON COLUMN marts.ablation.spearman IS 'Spearman rank correlation of expected and actual log score, average ranks for ties; NULL where undefined, as for a constant, and for fewer than 30 posts.';
COMMENT ON COLUMN marts.ablation.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.ablation.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.ablation.mae IS 'Mean absolute error of the log score.';
COMMENT ON COLUMN marts.ablation.difference IS 'Spearman of this variant minus that of all blocks, on the same resamples; NULL for all.';
COMMENT ON COLUMN marts.ablation.difference_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.ablation.difference_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.ablation.reason IS 'Why numbers are missing; NULL if none is.';
COMMENT ON COLUMN marts.ablation.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.ablation.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

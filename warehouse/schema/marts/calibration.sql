CREATE TABLE IF NOT EXISTS marts.calibration (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    bin INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    mean_expected DOUBLE,
    mean_actual DOUBLE,
    mean_actual_low DOUBLE,
    mean_actual_high DOUBLE,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.calibration IS 'Do posts of which a predictor expects more really score more, and as much? Test posts in up to ten equal groups. Computed on demand by `redpop analyse`. | key: subreddit, predictor, bin';
COMMENT ON COLUMN marts.calibration.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.calibration.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.calibration.bin IS 'Group, 1 for the least expected; equal expectations are in one group. 0 where there are too few test posts.';
COMMENT ON COLUMN marts.calibration.posts IS 'Test posts in the group.';
COMMENT ON COLUMN marts.calibration.mean_expected IS 'Mean expected log score.';
COMMENT ON COLUMN marts.calibration.mean_actual IS 'Mean actual log score.';
COMMENT ON COLUMN marts.calibration.mean_actual_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.calibration.mean_actual_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.calibration.reason IS 'Why numbers are missing; NULL if none is.';
COMMENT ON COLUMN marts.calibration.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.calibration.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

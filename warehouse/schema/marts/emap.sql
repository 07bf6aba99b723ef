CREATE TABLE IF NOT EXISTS marts.emap (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    posts INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    additive_spearman DOUBLE,
    additive_spearman_low DOUBLE,
    additive_spearman_high DOUBLE,
    gap DOUBLE,
    gap_low DOUBLE,
    gap_high DOUBLE,
    additive_share DOUBLE,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.emap IS 'Do predictors that see picture and text use them together? Each beside its projection onto a sum of one function of the picture and one of everything else (EMAP, Hessel & Lee 2020, section 3). Computed on demand by `redpop analyse`. | key: subreddit, predictor';
COMMENT ON COLUMN marts.emap.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.emap.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.emap.posts IS 'Test posts that were looked at; a random sample where there are more than 250.';
COMMENT ON COLUMN marts.emap.spearman IS 'Spearman rank correlation of the predictions with the log score.';
COMMENT ON COLUMN marts.emap.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.emap.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.emap.additive_spearman IS 'Spearman rank correlation of the projection with the log score.';
COMMENT ON COLUMN marts.emap.additive_spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.emap.additive_spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.emap.gap IS 'The first minus the second, on the same resamples: above 0, the interaction that was learnt is worth something.';
COMMENT ON COLUMN marts.emap.gap_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.emap.gap_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.emap.additive_share IS 'Share of the variance of the predictions that the projection explains, at most 1.';
COMMENT ON COLUMN marts.emap.reason IS 'Why numbers are missing; NULL if none is.';
COMMENT ON COLUMN marts.emap.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.emap.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

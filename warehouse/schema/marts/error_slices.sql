CREATE TABLE IF NOT EXISTS marts.error_slices (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    dimension VARCHAR NOT NULL,
    slice VARCHAR NOT NULL,
    posts INTEGER NOT NULL,
    authors INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    mae DOUBLE,
    mae_low DOUBLE,
    mae_high DOUBLE,
    bias DOUBLE,
    bias_low DOUBLE,
    bias_high DOUBLE,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.error_slices IS 'Where and when predictors err: the stored predictions of the test posts, slice by slice. Computed on demand by `redpop analyse`. | key: subreddit, predictor, dimension, slice';
COMMENT ON COLUMN marts.error_slices.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.error_slices.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.error_slices.dimension IS 'What the posts are sliced by: listing (in which a post was seen, whenever; one that was seen in several is in several slices; archive without a sighting), month and year (of the post, UTC), label_age (age at the first reading of the label), author (whether a matured past score was known), picture.';
COMMENT ON COLUMN marts.error_slices.slice IS 'Value of the dimension.';
COMMENT ON COLUMN marts.error_slices.posts IS 'Test posts in the slice.';
COMMENT ON COLUMN marts.error_slices.authors IS 'Authors among them: units of the bootstrap.';
COMMENT ON COLUMN marts.error_slices.spearman IS 'Spearman rank correlation of expected and actual log score, average ranks for ties; NULL where undefined, as for a constant, and for fewer than 30 posts.';
COMMENT ON COLUMN marts.error_slices.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.error_slices.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.error_slices.mae IS 'Mean absolute error of the log score; NULL for fewer than 30 posts.';
COMMENT ON COLUMN marts.error_slices.mae_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.error_slices.mae_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.error_slices.bias IS 'Mean of actual minus expected log score: above 0, posts did better than expected; NULL for fewer than 30 posts.';
COMMENT ON COLUMN marts.error_slices.bias_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.error_slices.bias_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.error_slices.reason IS 'Why numbers are missing; NULL if none is.';
COMMENT ON COLUMN marts.error_slices.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.error_slices.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

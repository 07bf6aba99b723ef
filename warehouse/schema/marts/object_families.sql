CREATE TABLE IF NOT EXISTS marts.object_families (
    subreddit VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    weight DOUBLE NOT NULL,
    weight_low DOUBLE NOT NULL,
    weight_high DOUBLE NOT NULL,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.object_families IS 'Which things in a picture raise or lower what learn_deeply expects (Paul et al., Table 2). It explains the predictor; an object need not cause a score. Computed on demand by `redpop analyse`. | key: subreddit, family';
COMMENT ON COLUMN marts.object_families.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.object_families.family IS 'WordNet family of ImageNet classes.';
COMMENT ON COLUMN marts.object_families.rank IS '1 for the largest weight.';
COMMENT ON COLUMN marts.object_families.weight IS 'Sum over the train posts of the log score that the prediction loses when the family is taken out of the picture.';
COMMENT ON COLUMN marts.object_families.weight_low IS 'Lower end of its 95 % interval, by resampling posts.';
COMMENT ON COLUMN marts.object_families.weight_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.object_families.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.object_families.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

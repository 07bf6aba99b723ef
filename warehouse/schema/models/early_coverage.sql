CREATE TABLE IF NOT EXISTS models.early_coverage (
    subreddit VARCHAR NOT NULL,
    age_hours INTEGER NOT NULL,
    target_hours INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    mae DOUBLE NOT NULL,
    coverage_50 DOUBLE,
    coverage_80 DOUBLE,
    coverage_90 DOUBLE,
    mean_width_80 DOUBLE,
    digest VARCHAR NOT NULL
);
COMMENT ON TABLE models.early_coverage IS 'How right the model of the whole curve is at each later age: what it said of the test posts from the readings by one age, against what was read at another. | key: subreddit, age_hours, target_hours';
COMMENT ON COLUMN models.early_coverage.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.early_coverage.age_hours IS 'Age up to which readings were looked at (hours).';
COMMENT ON COLUMN models.early_coverage.target_hours IS 'Age whose score was forecast (hours); the last one is the age at which labels are made.';
COMMENT ON COLUMN models.early_coverage.posts IS 'Test posts that were read at that age, within a tenth of it.';
COMMENT ON COLUMN models.early_coverage.mae IS 'Mean absolute error of the log score.';
COMMENT ON COLUMN models.early_coverage.coverage_50 IS 'Share of the scores inside of the 50 % interval: 0.5 is what it should be; NULL where there is no interval.';
COMMENT ON COLUMN models.early_coverage.coverage_80 IS 'Share inside of the 80 % interval.';
COMMENT ON COLUMN models.early_coverage.coverage_90 IS 'Share inside of the 90 % interval.';
COMMENT ON COLUMN models.early_coverage.mean_width_80 IS 'Mean width of the 80 % interval (log score).';
COMMENT ON COLUMN models.early_coverage.digest IS 'Digest of the model (models.early_predictors).';

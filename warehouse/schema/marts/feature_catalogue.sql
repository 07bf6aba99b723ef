CREATE TABLE IF NOT EXISTS marts.feature_catalogue (
    subreddit VARCHAR NOT NULL,
    block VARCHAR NOT NULL,
    feature VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    known_at VARCHAR,
    description VARCHAR NOT NULL,
    unit VARCHAR,
    source VARCHAR,
    type VARCHAR NOT NULL,
    width INTEGER,
    posts INTEGER NOT NULL,
    missing_share DOUBLE,
    labelled_posts INTEGER NOT NULL,
    method VARCHAR NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    rank_in_block INTEGER,
    leakage VARCHAR NOT NULL,
    suspicious_above DOUBLE,
    snapshot VARCHAR,
    metrics_version VARCHAR,
    inputs VARCHAR
);
COMMENT ON TABLE marts.feature_catalogue IS 'Every feature in every subreddit: what it is, for how many posts it is known, and how it goes with the score by itself. As of the last training set. | key: subreddit, block, feature';
COMMENT ON COLUMN marts.feature_catalogue.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.feature_catalogue.block IS 'Block of the feature, by which predictors name their inputs.';
COMMENT ON COLUMN marts.feature_catalogue.feature IS 'Column of the feature table; a vector is one feature.';
COMMENT ON COLUMN marts.feature_catalogue.table_name IS 'Table it is read from.';
COMMENT ON COLUMN marts.feature_catalogue.known_at IS 'before_post, at_post or after_post.';
COMMENT ON COLUMN marts.feature_catalogue.description IS 'What it means.';
COMMENT ON COLUMN marts.feature_catalogue.unit IS 'Its unit, where the description names one.';
COMMENT ON COLUMN marts.feature_catalogue.source IS 'Publication that the description cites, or else that of its table.';
COMMENT ON COLUMN marts.feature_catalogue.type IS 'DuckDB type of the column.';
COMMENT ON COLUMN marts.feature_catalogue.width IS 'Numbers it consists of: 1, or the width of the vector; NULL where no predictor is offered it.';
COMMENT ON COLUMN marts.feature_catalogue.posts IS 'Posts of the subreddit for which it is known.';
COMMENT ON COLUMN marts.feature_catalogue.missing_share IS 'Share of posts for which it is not: without a row, or with the missing flag that the description names.';
COMMENT ON COLUMN marts.feature_catalogue.labelled_posts IS 'Posts with a matured score for which it is known: what the correlation is computed from.';
COMMENT ON COLUMN marts.feature_catalogue.method IS 'value: the number itself was correlated; out_of_fold_ridge: what a ridge regression on the components says of authors and pictures that it was not fitted on.';
COMMENT ON COLUMN marts.feature_catalogue.spearman IS 'Spearman rank correlation with the matured log score in the subreddit, average ranks for ties; NULL where undefined, as for a constant.';
COMMENT ON COLUMN marts.feature_catalogue.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author. Not corrected for the number of features.';
COMMENT ON COLUMN marts.feature_catalogue.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.feature_catalogue.rank_in_block IS 'Rank of the size of the correlation in the block, 1 is the largest; NULL without one.';
COMMENT ON COLUMN marts.feature_catalogue.leakage IS 'none, suspicious (it goes with the score more closely than suspicious_above) or after_post (training refuses it).';
COMMENT ON COLUMN marts.feature_catalogue.suspicious_above IS 'Size of a correlation that no single honest feature has: 0.5, or more if there are so few authors that chance reaches it.';
COMMENT ON COLUMN marts.feature_catalogue.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.feature_catalogue.metrics_version IS 'Version of the measurement, seed of the bootstrap and digest of the definitions of all features.';
COMMENT ON COLUMN marts.feature_catalogue.inputs IS 'Digest of the values, labels and clusters that were measured: where it is the same, the numbers are kept. NULL in rows made before it was kept.';

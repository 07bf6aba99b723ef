CREATE TABLE IF NOT EXISTS features.profiles (
    subreddit VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    accepted_at TIMESTAMP NOT NULL,
    n INTEGER NOT NULL,
    profile VARCHAR NOT NULL
);
COMMENT ON TABLE features.profiles IS 'What each feature looked like when it was last accepted: the yardstick of the drift checks. A snapshot within bounds is accepted by itself, a drifted one by a person. | key: subreddit, table_name, column_name';
COMMENT ON COLUMN features.profiles.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN features.profiles.table_name IS 'Table of the feature.';
COMMENT ON COLUMN features.profiles.column_name IS 'Column of that table.';
COMMENT ON COLUMN features.profiles.accepted_at IS 'When it was accepted (UTC).';
COMMENT ON COLUMN features.profiles.n IS 'Values it describes, missing ones included.';
COMMENT ON COLUMN features.profiles.profile IS 'JSON: known values, moments, a histogram by deciles, the distribution function at up to 101 points; of vectors the lengths, and centroid, spread, mean cosine and share of duplicates.';

CREATE TABLE IF NOT EXISTS features.made_posts (
    table_name VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    made_with VARCHAR NOT NULL,
    facts VARCHAR[] NOT NULL,
    everybody BOOLEAN NOT NULL,
    due_from TIMESTAMP,
    claimed_from TIMESTAMP,
    claim BIGINT NOT NULL
);
COMMENT ON TABLE features.made_posts IS 'How far the features of posts of a community are made, a row per table. Bookkeeping, nothing to learn from. | key: table_name, subreddit';
COMMENT ON COLUMN features.made_posts.table_name IS 'Table of the features.';
COMMENT ON COLUMN features.made_posts.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN features.made_posts.made_with IS 'Digest of the version of the code, the networks and the label age that made the rows.';
COMMENT ON COLUMN features.made_posts.facts IS 'Columns of features.known_posts that the rows depend on.';
COMMENT ON COLUMN features.made_posts.everybody IS 'Whether they depend on posts of all communities.';
COMMENT ON COLUMN features.made_posts.due_from IS 'Rows of posts made at this moment or later are to be made again (UTC); NULL: none, but for posts without a row.';
COMMENT ON COLUMN features.made_posts.claimed_from IS 'The same of rows that a run is making, or that a killed one has not finished; NULL: none.';
COMMENT ON COLUMN features.made_posts.claim IS 'Number of the run that makes them, or made them last; only that one may write.';

CREATE TABLE IF NOT EXISTS raw.community_sizes (
    subreddit VARCHAR NOT NULL,
    day DATE NOT NULL,
    subscribers BIGINT NOT NULL
);
COMMENT ON TABLE raw.community_sizes IS 'How many members each community had, day by day, as far as the source knows. | key: subreddit, day';
COMMENT ON COLUMN raw.community_sizes.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.community_sizes.day IS 'The day (UTC).';
COMMENT ON COLUMN raw.community_sizes.subscribers IS 'Its members, as last read for that day.';

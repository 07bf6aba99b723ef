CREATE TABLE IF NOT EXISTS raw.sightings (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    listing VARCHAR NOT NULL,
    time_filter VARCHAR NOT NULL,
    rank INTEGER NOT NULL
);
COMMENT ON TABLE raw.sightings IS 'Where each post was found: one row per post, listing, time filter and reading of the listing. Append-only. | key: post_id, listing, time_filter, seen_at';
COMMENT ON COLUMN raw.sightings.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN raw.sightings.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.sightings.seen_at IS 'Date of the answer that held the post (UTC).';
COMMENT ON COLUMN raw.sightings.listing IS 'new, hot, rising, top or controversial.';
COMMENT ON COLUMN raw.sightings.time_filter IS 'hour, day, week, month, year or all for top and controversial; empty for the others.';
COMMENT ON COLUMN raw.sightings.rank IS 'Position in the listing, from 0, where the reading came across it first; stickied posts count.';

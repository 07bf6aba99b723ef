CREATE TABLE IF NOT EXISTS raw.presence (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    checked_at TIMESTAMP NOT NULL,
    misses INTEGER NOT NULL,
    missing_since TIMESTAMP
);
COMMENT ON TABLE raw.presence IS 'Whether each known post still stands on Reddit, as of the last time it was listed or asked for. Posts of an archive are in it only where their Reddit can be asked; Arctic Shift says nothing of this. | key: post_id';
COMMENT ON COLUMN raw.presence.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN raw.presence.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.presence.checked_at IS 'Date of the last answer that could have held the post (UTC).';
COMMENT ON COLUMN raw.presence.misses IS 'Times in a row that Reddit was asked for the post by id and did not return it, answers left out that lacked nearly everything; 0 while it is there.';
COMMENT ON COLUMN raw.presence.missing_since IS 'Date of the first of these answers (UTC); NULL while the post is there.';

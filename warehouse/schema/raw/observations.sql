CREATE TABLE IF NOT EXISTS raw.observations (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    endpoint VARCHAR NOT NULL,
    score INTEGER,
    upvote_ratio DOUBLE,
    num_comments INTEGER,
    num_crossposts INTEGER,
    hide_score BOOLEAN,
    stickied BOOLEAN,
    locked BOOLEAN,
    over_18 BOOLEAN,
    spoiler BOOLEAN,
    edited BOOLEAN,
    archived BOOLEAN,
    author_present BOOLEAN,
    removed_by_category VARCHAR
);
COMMENT ON TABLE raw.observations IS 'The score of a post over time: one row per reading. Posts that are only checked, from a day after the label age on (raw.presence), get a row when they were removed or lost their author, or the contrary, since the row before. Append-only, never overwritten. | key: post_id, observed_at';
COMMENT ON COLUMN raw.observations.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN raw.observations.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.observations.observed_at IS 'Date of the answer, or the time an archive, Arctic Shift among them, says that it read the score (UTC).';
COMMENT ON COLUMN raw.observations.endpoint IS 'listing or info (Reddit), arctic_shift, or archive (a file).';
COMMENT ON COLUMN raw.observations.score IS 'Upvotes minus downvotes as shown: fuzzed by about 10, floor 0; NULL where the source has none.';
COMMENT ON COLUMN raw.observations.upvote_ratio IS 'Share of upvotes, two digits.';
COMMENT ON COLUMN raw.observations.num_comments IS 'Comments at the time of the reading.';
COMMENT ON COLUMN raw.observations.num_crossposts IS 'Crossposts at the time of the reading.';
COMMENT ON COLUMN raw.observations.hide_score IS 'Whether Reddit masks the score; such a reading is never a label.';
COMMENT ON COLUMN raw.observations.stickied IS 'Pinned by a moderator.';
COMMENT ON COLUMN raw.observations.locked IS 'Closed for comments.';
COMMENT ON COLUMN raw.observations.over_18 IS 'Marked as mature.';
COMMENT ON COLUMN raw.observations.spoiler IS 'Marked as spoiler.';
COMMENT ON COLUMN raw.observations.edited IS 'Text edited after posting.';
COMMENT ON COLUMN raw.observations.archived IS 'Closed for votes.';
COMMENT ON COLUMN raw.observations.author_present IS 'False once the account or its link to the post is gone.';
COMMENT ON COLUMN raw.observations.removed_by_category IS 'Who removed the post (moderator, deleted, reddit, …); NULL while it stands.';

CREATE TABLE IF NOT EXISTS core.rejected_posts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    author_present BOOLEAN,
    removed_by_category VARCHAR,
    revised_at TIMESTAMP,
    code_version VARCHAR NOT NULL
);
COMMENT ON TABLE core.rejected_posts IS 'Raw submissions that are no usable image post, each with the reason. | key: post_id';
COMMENT ON COLUMN core.rejected_posts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.rejected_posts.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.rejected_posts.reason IS 'Reason code: promoted, stickied, self, video, gifv, removed_by_… (the category), …';
COMMENT ON COLUMN core.rejected_posts.detail IS 'The value that led to the rejection, such as the domain.';
COMMENT ON COLUMN core.rejected_posts.author_present IS 'author_present of the latest observation the row was made from.';
COMMENT ON COLUMN core.rejected_posts.removed_by_category IS 'removed_by_category of the latest observation the row was made from.';
COMMENT ON COLUMN core.rejected_posts.revised_at IS 'revised_at of the row of raw.submissions the row was made from (UTC); NULL while that is as first seen.';
COMMENT ON COLUMN core.rejected_posts.code_version IS 'Version of the cleaning rules that made the row.';

CREATE TABLE IF NOT EXISTS features.known_posts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    post UBIGINT NOT NULL,
    declared UBIGINT NOT NULL,
    score UBIGINT NOT NULL,
    picture UBIGINT NOT NULL,
    image_vector UBIGINT NOT NULL,
    caption_vector UBIGINT NOT NULL
);
COMMENT ON TABLE features.known_posts IS 'What the features of posts were last made from, a row per post: what differs from it now, and from which moment on, says which rows are made again. Bookkeeping, nothing to learn from. | key: post_id';
COMMENT ON COLUMN features.known_posts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN features.known_posts.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN features.known_posts.created_at IS 'When the post was made (UTC).';
COMMENT ON COLUMN features.known_posts.post IS 'Hash of time, author, caption and revision.';
COMMENT ON COLUMN features.known_posts.declared IS 'Hash of what its author and moderators declared.';
COMMENT ON COLUMN features.known_posts.score IS 'Hash of its label on the score scale of the community.';
COMMENT ON COLUMN features.known_posts.picture IS 'Hash of its group in core.duplicates.';
COMMENT ON COLUMN features.known_posts.image_vector IS 'Hash of its picture, where the image encoder that counts has seen it, and of the encoder.';
COMMENT ON COLUMN features.known_posts.caption_vector IS 'Likewise of its caption.';

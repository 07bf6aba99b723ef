CREATE TABLE IF NOT EXISTS features.post_flags (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    is_gallery FLOAT NOT NULL,
    image_count FLOAT NOT NULL,
    is_crosspost FLOAT NOT NULL,
    is_original_content FLOAT NOT NULL,
    has_flair FLOAT NOT NULL,
    over_18 FLOAT NOT NULL,
    spoiler FLOAT NOT NULL
);
COMMENT ON TABLE features.post_flags IS 'What the author declared, and what moderators may have changed since. | key: post_id';
COMMENT ON COLUMN features.post_flags.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.post_flags.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.post_flags.is_gallery IS '1 for a gallery. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.post_flags.image_count IS 'Number of images. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.post_flags.is_crosspost IS '1 for a crosspost. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.post_flags.is_original_content IS '1 if the author set the original-content flag. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.post_flags.has_flair IS '1 if the post had a link flair at first sight. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.post_flags.over_18 IS '1 if marked as mature; moderators set it too, so it is refused in training. | known_at: after_post | unit: 0 or 1';
COMMENT ON COLUMN features.post_flags.spoiler IS '1 if marked as spoiler; moderators set it too, so it is refused in training. | known_at: after_post | unit: 0 or 1';

CREATE TABLE IF NOT EXISTS features.caption_novelty (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    has_earlier_captions FLOAT NOT NULL,
    window_posts FLOAT NOT NULL,
    max_similarity FLOAT NOT NULL,
    mean_similarity FLOAT NOT NULL,
    unseen_word_share FLOAT NOT NULL,
    days_since_similar FLOAT NOT NULL
);
COMMENT ON TABLE features.caption_novelty IS 'How much the caption of a post repeats those of the same community just before: only posts of strictly earlier seconds. | key: post_id';
COMMENT ON COLUMN features.caption_novelty.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.caption_novelty.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.caption_novelty.has_earlier_captions IS '1 if the window holds an earlier post; else the other columns have their neutral values. | known_at: at_post | unit: 0 or 1';
COMMENT ON COLUMN features.caption_novelty.window_posts IS 'Posts in the window: the most recent 500 of the 30 days before; 0 to 500. | known_at: at_post | unit: 0 to 500 | missing: has_earlier_captions = 0';
COMMENT ON COLUMN features.caption_novelty.max_similarity IS 'Highest cosine between the caption and one in the window, tokens weighted by inverse document frequency in the window; 0 to 1, neutral 0. | known_at: at_post | unit: 0 to 1 | missing: has_earlier_captions = 0 | placeholder: 0 = no earlier caption';
COMMENT ON COLUMN features.caption_novelty.mean_similarity IS 'Mean of these cosines; 0 to 1, neutral 0. | known_at: at_post | unit: 0 to 1 | missing: has_earlier_captions = 0 | placeholder: 0 = no earlier caption';
COMMENT ON COLUMN features.caption_novelty.unseen_word_share IS 'Share of the different tokens of the caption that no caption in the window has; 0 to 1, neutral 0. | known_at: at_post | unit: 0 to 1 | missing: has_earlier_captions = 0 | placeholder: 0 = no earlier caption';
COMMENT ON COLUMN features.caption_novelty.days_since_similar IS 'Days since the latest caption in the window with a cosine of 0.5 or more, at most 30, which also means none. | known_at: at_post | unit: days | missing: has_earlier_captions = 0 | placeholder: 30 = none';

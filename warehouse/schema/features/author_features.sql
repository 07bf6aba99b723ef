CREATE TABLE IF NOT EXISTS features.author_features (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    author_known FLOAT NOT NULL,
    past_posts FLOAT NOT NULL,
    past_mature_posts FLOAT NOT NULL,
    is_cold_start FLOAT NOT NULL,
    past_mean_log_score FLOAT NOT NULL,
    past_best_log_score FLOAT NOT NULL,
    days_since_last_post FLOAT NOT NULL,
    subreddit_has_history FLOAT NOT NULL,
    subreddit_past_mean_log_score FLOAT NOT NULL,
    subreddit_posts_last_24h FLOAT NOT NULL
);
COMMENT ON TABLE features.author_features IS 'What was known of the author and of the subreddit when the post was made: strictly earlier posts, and only scores that had matured. Key: (post_id).';
COMMENT ON COLUMN features.author_features.post_id IS 'Base36 id of the post. known_at=before_post';
COMMENT ON COLUMN features.author_features.subreddit IS 'Community in lower case; the partition. known_at=before_post';
COMMENT ON COLUMN features.author_features.author_known IS '1 if the source names an author. known_at=before_post';
COMMENT ON COLUMN features.author_features.past_posts IS 'Earlier posts of the author in the subreddit. known_at=before_post';
COMMENT ON COLUMN features.author_features.past_mature_posts IS 'Those of them whose score had matured. known_at=before_post';
COMMENT ON COLUMN features.author_features.is_cold_start IS '1 if no mature score of the author was known; mean and best are then those of the subreddit. known_at=before_post';
COMMENT ON COLUMN features.author_features.past_mean_log_score IS 'Mean mature log score of the author, shrunk to that of the subreddit (weight 5). known_at=before_post';
COMMENT ON COLUMN features.author_features.past_best_log_score IS 'Highest mature log score of the author. known_at=before_post';
COMMENT ON COLUMN features.author_features.days_since_last_post IS 'Days since the author''s last post, at most 365, which also means never. known_at=before_post';
COMMENT ON COLUMN features.author_features.subreddit_has_history IS '1 if any score in the subreddit had matured. known_at=before_post';
COMMENT ON COLUMN features.author_features.subreddit_past_mean_log_score IS 'Mean mature log score of the subreddit so far; 0 where there is none. known_at=before_post';
COMMENT ON COLUMN features.author_features.subreddit_posts_last_24h IS 'Posts in the subreddit in the 24 h before. known_at=at_post';

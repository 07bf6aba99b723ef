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
    subreddit_posts_last_24h FLOAT NOT NULL,
    -- Later additions may be NULL, so that an existing table gets them; every refresh writes all rows anew.
    log_hours_since_first_post FLOAT,
    log_hours_since_last_post FLOAT,
    posts_per_day FLOAT,
    past_last_log_score FLOAT,
    past_best_shrunk_log_score FLOAT,
    past_sd_log_score FLOAT,
    past_share_score_5 FLOAT,
    past_share_score_10 FLOAT,
    past_share_score_50 FLOAT,
    past_share_score_100 FLOAT,
    past_caption_words FLOAT,
    past_caption_type_token_ratio FLOAT,
    past_posts_anywhere FLOAT,
    past_communities FLOAT,
    share_of_posts_here FLOAT
);
COMMENT ON TABLE features.author_features IS 'What was known of the author and of the subreddit when the post was made: strictly earlier posts, and only scores that had matured. | key: post_id';
COMMENT ON COLUMN features.author_features.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.author_features.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.author_features.author_known IS '1 if the source names an author. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.author_features.past_posts IS 'Earlier posts of the author in the subreddit. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.author_features.past_mature_posts IS 'Those of them whose score had matured. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.author_features.is_cold_start IS '1 if no mature score of the author was known; mean and best are then those of the subreddit. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.author_features.past_mean_log_score IS 'Mean mature log score of the author, shrunk to that of the subreddit (weight 5). | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.author_features.past_best_log_score IS 'Highest mature log score of the author. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.author_features.days_since_last_post IS 'Days since the author''s last post, at most 365, which also means never. | known_at: before_post | unit: days | placeholder: 365 = never';
COMMENT ON COLUMN features.author_features.subreddit_has_history IS '1 if any score in the subreddit had matured. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.author_features.subreddit_past_mean_log_score IS 'Mean mature log score of the subreddit so far; 0 where there is none. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.author_features.subreddit_posts_last_24h IS 'Posts in the subreddit in the 24 h before. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.author_features.log_hours_since_first_post IS 'ln(1 + hours since the author''s first post here), 0 without one. | known_at: before_post | unit: logarithm | source: Hessel et al. 2017 | placeholder: 0 = no earlier post';
COMMENT ON COLUMN features.author_features.log_hours_since_last_post IS 'ln(1 + hours since the author''s last post here), at most ln(1 + 8760), which also means never. | known_at: before_post | unit: logarithm | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.posts_per_day IS 'Earlier posts of the author here per day since the first, the first day counted as a whole. | known_at: before_post | unit: per day';
COMMENT ON COLUMN features.author_features.past_last_log_score IS 'Mature log score of the author''s latest post that has one, shrunk to the mean of the subreddit (weight 5). | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.author_features.past_best_shrunk_log_score IS 'Highest mature log score of the author, shrunk to the mean of the subreddit (weight 5). | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.author_features.past_sd_log_score IS 'Standard deviation of the author''s mature log scores, its variance shrunk to that of the subreddit (weight 5). | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.author_features.past_share_score_5 IS 'Share of the author''s mature posts with at least 5 points, shrunk to that of the subreddit (weight 5; Hessel et al. 2017). | known_at: before_post | unit: share | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.past_share_score_10 IS 'Share of the author''s mature posts with at least 10 points, shrunk to that of the subreddit (weight 5; Hessel et al. 2017). | known_at: before_post | unit: share | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.past_share_score_50 IS 'Share of the author''s mature posts with at least 50 points, shrunk to that of the subreddit (weight 5; Hessel et al. 2017). | known_at: before_post | unit: share | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.past_share_score_100 IS 'Share of the author''s mature posts with at least 100 points, shrunk to that of the subreddit (weight 5; Hessel et al. 2017). | known_at: before_post | unit: share | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.past_caption_words IS 'Mean number of words of the author''s earlier captions here, shrunk to that of the subreddit (weight 5; after Hessel et al. 2017, there of comments). | known_at: before_post | unit: words | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.past_caption_type_token_ratio IS 'Mean share of different words in the author''s earlier captions here, shrunk likewise (after Hessel et al. 2017, there of comments). | known_at: before_post | unit: share | source: Hessel et al. 2017';
COMMENT ON COLUMN features.author_features.past_posts_anywhere IS 'Earlier posts of the author in all communities of the warehouse. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.author_features.past_communities IS 'In how many communities those were. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.author_features.share_of_posts_here IS 'Which share of those was here; 0 without any. | known_at: before_post | unit: share | placeholder: 0 = no earlier post';

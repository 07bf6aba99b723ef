CREATE TABLE IF NOT EXISTS features.community_features (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    posts_last_30min FLOAT NOT NULL,
    posts_last_hour FLOAT NOT NULL,
    posts_last_2h FLOAT NOT NULL,
    posts_last_6h FLOAT NOT NULL,
    posts_last_24h FLOAT NOT NULL,
    posts_last_7d FLOAT NOT NULL,
    authors_last_24h FLOAT NOT NULL,
    usual_posts_this_hour FLOAT NOT NULL,
    hour_log_ratio FLOAT NOT NULL,
    hour_has_usual_rate FLOAT NOT NULL,
    has_scores FLOAT NOT NULL,
    recent_scores FLOAT NOT NULL,
    recent_mean_log_score FLOAT NOT NULL,
    recent_median_log_score FLOAT NOT NULL,
    recent_q90_log_score FLOAT NOT NULL,
    month_scores FLOAT NOT NULL,
    month_mean_log_score FLOAT NOT NULL,
    month_median_log_score FLOAT NOT NULL,
    month_q90_log_score FLOAT NOT NULL,
    log_subscribers FLOAT NOT NULL,
    subscribers_known FLOAT NOT NULL
);
COMMENT ON TABLE features.community_features IS 'How the community was doing when the post was made: traffic, size and latest scores; strictly earlier posts, and only scores that had matured. | key: post_id';
COMMENT ON COLUMN features.community_features.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.community_features.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.community_features.posts_last_30min IS 'Posts in the 30 min before: they are young and compete for the same places. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.posts_last_hour IS 'Posts in the hour before. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.posts_last_2h IS 'Posts in the 2 h before, competitors too. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.posts_last_6h IS 'Posts in the 6 h before. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.posts_last_24h IS 'Posts in the 24 h before. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.posts_last_7d IS 'Posts in the 7 d before. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.authors_last_24h IS 'Different authors of the posts of the 24 h before; an unknown author counts once per post. | known_at: at_post | unit: count';
COMMENT ON COLUMN features.community_features.usual_posts_this_hour IS 'Posts in the hour that ended at this time of the day, mean of the 28 days before as far as there are posts; 0 where not known. | known_at: before_post | unit: count | placeholder: 0 = not known';
COMMENT ON COLUMN features.community_features.hour_log_ratio IS 'ln((1 + posts_last_hour) / (1 + usual_posts_this_hour)); 0 where the usual is not known. | known_at: at_post | unit: logarithm | placeholder: 0 = usual rate not known';
COMMENT ON COLUMN features.community_features.hour_has_usual_rate IS '1 if the usual rate of this hour is known. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.community_features.has_scores IS '1 if any score in the subreddit had matured; else all about scores is 0. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.community_features.recent_scores IS 'How many of the latest 100 mature scores there are. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.community_features.recent_mean_log_score IS 'Mean log score of the latest 100 mature scores. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.community_features.recent_median_log_score IS 'Median log score of the latest 100 mature scores. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.community_features.recent_q90_log_score IS '90 % quantile of the log scores of the latest 100 mature scores. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.community_features.month_scores IS 'Scores that matured in the 30 days before. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.community_features.month_mean_log_score IS 'Mean log score of those; of the latest 100 mature scores where there are none. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.community_features.month_median_log_score IS 'Median log score of those; of the latest 100 mature scores where there are none. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.community_features.month_q90_log_score IS '90 % quantile of the log scores of those; of the latest 100 mature scores where there are none. | known_at: before_post | unit: log score | placeholder: 0 = no mature score';
COMMENT ON COLUMN features.community_features.log_subscribers IS 'ln(1 + members), read within 15 min of the post, or with an earlier post in the 30 days before; 0 where not known. | known_at: at_post | unit: logarithm | placeholder: 0 = not known';
COMMENT ON COLUMN features.community_features.subscribers_known IS '1 if the number of members is known. | known_at: at_post | unit: 0 or 1';

CREATE TABLE IF NOT EXISTS features.seen_before (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    seen_before FLOAT NOT NULL,
    times_here FLOAT NOT NULL,
    times_elsewhere FLOAT NOT NULL,
    by_same_author FLOAT NOT NULL,
    days_since_first FLOAT NOT NULL,
    days_since_last FLOAT NOT NULL,
    days_since_last_here FLOAT NOT NULL,
    times_mature FLOAT NOT NULL,
    has_mature_score FLOAT NOT NULL,
    best_percentile FLOAT NOT NULL,
    mean_percentile FLOAT NOT NULL,
    has_mature_score_here FLOAT NOT NULL,
    best_log_score_here FLOAT NOT NULL,
    mean_log_score_here FLOAT NOT NULL
);
COMMENT ON TABLE features.seen_before IS 'Whether the picture of the post was posted before, in any community, and how it did: strictly earlier posts of its group in core.duplicates, and only scores that had matured. | key: post_id';
COMMENT ON COLUMN features.seen_before.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.seen_before.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.seen_before.seen_before IS '1 if the picture was posted earlier, anywhere. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.seen_before.times_here IS 'Earlier posts of the picture in this community. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.seen_before.times_elsewhere IS 'Earlier posts of the picture in other communities. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.seen_before.by_same_author IS '1 if one of the earlier posts is by the author of this one. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.seen_before.days_since_first IS 'Days since the first earlier post, at most 3650, which also means never. | known_at: before_post | unit: days | placeholder: 3650 = never';
COMMENT ON COLUMN features.seen_before.days_since_last IS 'Days since the latest earlier post, at most 3650, which also means never. | known_at: before_post | unit: days | placeholder: 3650 = never';
COMMENT ON COLUMN features.seen_before.days_since_last_here IS 'Days since the latest earlier post in this community, at most 3650, which also means never. | known_at: before_post | unit: days | placeholder: 3650 = never';
COMMENT ON COLUMN features.seen_before.times_mature IS 'Earlier posts, anywhere, whose score had matured. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.seen_before.has_mature_score IS '1 if there are such posts. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.seen_before.best_percentile IS 'Highest percentile (0 to 1) of those, each among the scores of its own community that were mature when it was; 0.5 without one. | known_at: before_post | unit: 0 to 1 | placeholder: 0.5 = no mature score';
COMMENT ON COLUMN features.seen_before.mean_percentile IS 'Mean of these percentiles, shrunk to 0.5 (weight 1). | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.seen_before.has_mature_score_here IS '1 if the score of an earlier post in this community had matured. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.seen_before.best_log_score_here IS 'Highest of these log scores; the mean of all mature scores here without one. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.seen_before.mean_log_score_here IS 'Mean of these log scores, shrunk to the mean of all mature scores here (weight 1). | known_at: before_post | unit: log score';

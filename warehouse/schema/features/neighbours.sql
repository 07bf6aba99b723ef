CREATE TABLE IF NOT EXISTS features.neighbours (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    image_encoder VARCHAR NOT NULL,
    caption_encoder VARCHAR NOT NULL,
    image_neighbours FLOAT NOT NULL,
    image_has_neighbours FLOAT NOT NULL,
    image_neighbours_mean_log_score FLOAT NOT NULL,
    image_neighbours_weighted_mean_log_score FLOAT NOT NULL,
    image_neighbours_sd_log_score FLOAT NOT NULL,
    image_neighbours_min_log_score FLOAT NOT NULL,
    image_neighbours_max_log_score FLOAT NOT NULL,
    image_neighbours_mean_similarity FLOAT NOT NULL,
    image_neighbours_best_similarity FLOAT NOT NULL,
    image_days_since_nearest FLOAT NOT NULL,
    caption_neighbours FLOAT NOT NULL,
    caption_has_neighbours FLOAT NOT NULL,
    caption_neighbours_mean_log_score FLOAT NOT NULL,
    caption_neighbours_weighted_mean_log_score FLOAT NOT NULL,
    caption_neighbours_sd_log_score FLOAT NOT NULL,
    caption_neighbours_min_log_score FLOAT NOT NULL,
    caption_neighbours_max_log_score FLOAT NOT NULL,
    caption_neighbours_mean_similarity FLOAT NOT NULL,
    caption_neighbours_best_similarity FLOAT NOT NULL,
    caption_days_since_nearest FLOAT NOT NULL
);
COMMENT ON TABLE features.neighbours IS 'How the posts most like this one did: the nearest strictly earlier posts of the community whose score had matured, other pictures than its own (after SKAPP, AAAI 2025). | key: post_id, image_encoder, caption_encoder | source: SKAPP, AAAI 2025';
COMMENT ON COLUMN features.neighbours.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.neighbours.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.neighbours.image_encoder IS 'Network behind the image vectors, key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.neighbours.caption_encoder IS 'Network or topic model behind the caption vectors. | known_at: before_post';
COMMENT ON COLUMN features.neighbours.image_neighbours IS 'How many of the 10 nearest earlier posts by image vector there are. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.neighbours.image_has_neighbours IS '1 if there is any. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.neighbours.image_neighbours_mean_log_score IS 'Mean of their log scores; the mean of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.image_neighbours_weighted_mean_log_score IS 'Likewise, weighted by similarity. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.image_neighbours_sd_log_score IS 'Standard deviation of their log scores; that of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.image_neighbours_min_log_score IS 'Lowest of their log scores; the mean of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.image_neighbours_max_log_score IS 'Highest of their log scores; the mean of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.image_neighbours_mean_similarity IS 'Mean cosine similarity to them; 0 without any. | known_at: before_post | unit: -1 to 1 | placeholder: 0 = none';
COMMENT ON COLUMN features.neighbours.image_neighbours_best_similarity IS 'Cosine similarity to the nearest; 0 without any. | known_at: before_post | unit: -1 to 1 | placeholder: 0 = none';
COMMENT ON COLUMN features.neighbours.image_days_since_nearest IS 'Days since the nearest was posted, at most 365, which also means none. | known_at: before_post | unit: days | placeholder: 365 = none';
COMMENT ON COLUMN features.neighbours.caption_neighbours IS 'How many of the 10 nearest earlier posts by caption vector there are. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.neighbours.caption_has_neighbours IS '1 if there is any. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.neighbours.caption_neighbours_mean_log_score IS 'Mean of their log scores; the mean of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.caption_neighbours_weighted_mean_log_score IS 'Likewise, weighted by similarity. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.caption_neighbours_sd_log_score IS 'Standard deviation of their log scores; that of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.caption_neighbours_min_log_score IS 'Lowest of their log scores; the mean of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.caption_neighbours_max_log_score IS 'Highest of their log scores; the mean of all mature scores here without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.neighbours.caption_neighbours_mean_similarity IS 'Mean cosine similarity to them; 0 without any. | known_at: before_post | unit: -1 to 1 | placeholder: 0 = none';
COMMENT ON COLUMN features.neighbours.caption_neighbours_best_similarity IS 'Cosine similarity to the nearest; 0 without any. | known_at: before_post | unit: -1 to 1 | placeholder: 0 = none';
COMMENT ON COLUMN features.neighbours.caption_days_since_nearest IS 'Days since the nearest was posted, at most 365, which also means none. | known_at: before_post | unit: days | placeholder: 365 = none';

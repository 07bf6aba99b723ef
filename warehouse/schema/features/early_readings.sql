CREATE TABLE IF NOT EXISTS features.early_readings (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    age_hours INTEGER NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    made_from VARCHAR NOT NULL,
    reading_age_hours FLOAT NOT NULL,
    readings FLOAT NOT NULL,
    masked FLOAT NOT NULL,
    log_score FLOAT,
    upvote_ratio FLOAT,
    log_comments FLOAT,
    log_crossposts FLOAT,
    rank_new FLOAT,
    rank_hot FLOAT,
    rank_rising FLOAT,
    score_speed FLOAT,
    score_speed_change FLOAT,
    comment_speed FLOAT,
    comment_speed_change FLOAT,
    still_up FLOAT NOT NULL
);
COMMENT ON TABLE features.early_readings IS 'What the readings of a post told by the time that it had an age of 1, 3, 6 or 24 hours: only readings made by then, the newest of them at half of that age at least, else there is no row. Ordinary predictors never see it. | key: post_id, age_hours | source: Szabo & Huberman 2010';
COMMENT ON COLUMN features.early_readings.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.early_readings.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.early_readings.age_hours IS 'Age of the post up to which readings count (hours). | known_at: before_post';
COMMENT ON COLUMN features.early_readings.observed_at IS 'Time of the newest reading that counts (UTC): nothing of the row was read later. | known_at: after_age';
COMMENT ON COLUMN features.early_readings.made_from IS 'Digest of the readings and sightings that count, and of the code that made the row. | known_at: after_age';
COMMENT ON COLUMN features.early_readings.reading_age_hours IS 'Age of the post at the newest reading that counts; what follows is of that age, not carried on to age_hours. | known_at: after_age | unit: hours';
COMMENT ON COLUMN features.early_readings.readings IS 'Readings that count. | known_at: after_age | unit: count';
COMMENT ON COLUMN features.early_readings.masked IS '1 if the newest of them hides the score. | known_at: after_age | unit: 0 or 1';
COMMENT ON COLUMN features.early_readings.log_score IS 'sign(s) * ln(1 + |s|) of the score in the newest of them, fuzzed as it is; NULL if it is hidden or not said. | known_at: after_age | unit: log score';
COMMENT ON COLUMN features.early_readings.upvote_ratio IS 'Share of upvotes in it. | known_at: after_age | unit: share';
COMMENT ON COLUMN features.early_readings.log_comments IS 'ln(1 + comments) in it. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.log_crossposts IS 'ln(1 + crossposts) in it. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.rank_new IS 'ln(1 + place) in the listing new where it was seen last by then, at half of the age at least; NULL if it was not seen. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.rank_hot IS 'Likewise in the listing hot. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.rank_rising IS 'Likewise in the listing rising. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.score_speed IS 'sign(v) * ln(1 + |v|) of the points an hour v that came in the second half of the time up to the newest reading with a score; a post begins with 1 point, and halfway the score is interpolated between readings. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.score_speed_change IS 'The same of the difference between the speeds of the second and of the first half. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.comment_speed IS 'As score_speed, of comments, which begin with 0. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.comment_speed_change IS 'As score_speed_change, of comments. | known_at: after_age | unit: logarithm';
COMMENT ON COLUMN features.early_readings.still_up IS '1 while the newest reading shows the post standing, 0 where it is removed. | known_at: after_age | unit: 0 or 1';

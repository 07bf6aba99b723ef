CREATE TABLE IF NOT EXISTS core.labels (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    score INTEGER NOT NULL,
    log_score DOUBLE NOT NULL,
    percentile DOUBLE NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    age_at_label_hours DOUBLE NOT NULL,
    score_scale VARCHAR NOT NULL,
    first_observed_at TIMESTAMP,
    readings INTEGER,
    score_spread INTEGER,
    source VARCHAR
);
COMMENT ON TABLE core.labels IS 'Scores of matured posts, freed from vote fuzzing: the median of the unmasked readings at or past the label age, from the first of them until so much later (REDPOP_LABEL_AGE_DAYS, REDPOP_LABEL_WINDOW_HOURS: of reddit 7 days and 48 hours, of arctic_shift 34 hours and 14). Younger posts have no row. | key: post_id';
COMMENT ON COLUMN core.labels.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.labels.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.labels.score IS 'Median of these readings; of two middle ones the mean, halves rounded away from zero.';
COMMENT ON COLUMN core.labels.log_score IS 'sign(score) * ln(1 + |score|).';
COMMENT ON COLUMN core.labels.percentile IS 'Mid-rank of the score among the labels of the subreddit on the same score scale, from 0 to 1.';
COMMENT ON COLUMN core.labels.observed_at IS 'Time of the last of these readings (UTC): the label was not known before.';
COMMENT ON COLUMN core.labels.age_at_label_hours IS 'Age of the post at the first of these readings (hours); posts found late have large values.';
COMMENT ON COLUMN core.labels.score_scale IS 'before_2016_12 or current: Reddit re-scaled scores in December 2016, and the two are never mixed.';
COMMENT ON COLUMN core.labels.first_observed_at IS 'Time of the first of these readings (UTC).';
COMMENT ON COLUMN core.labels.readings IS 'How many readings these are.';
COMMENT ON COLUMN core.labels.score_spread IS 'The highest of these readings minus the lowest.';
COMMENT ON COLUMN core.labels.source IS 'Where these readings come from: reddit (its API), arctic_shift, archive (a file), or several of them, such as archive+reddit.';

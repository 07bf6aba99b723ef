CREATE TABLE IF NOT EXISTS core.anomalies (
    subreddit VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    first_day DATE NOT NULL,
    last_day DATE NOT NULL,
    score_scale VARCHAR,
    observed DOUBLE NOT NULL,
    expected DOUBLE NOT NULL,
    strength DOUBLE NOT NULL,
    p_value DOUBLE NOT NULL,
    posts INTEGER NOT NULL,
    found_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE core.anomalies IS 'Periods in which an archive is wrong, told from the community''s own past: scores that are first readings, and days without posts. | key: subreddit, kind, first_day';
COMMENT ON COLUMN core.anomalies.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.anomalies.kind IS 'first_readings: scores of 1 or less are far more frequent for a while, so that archives must have read posts when they were made and never again; core.doubtful_labels has these posts. new_level: they have become so for more than half a year, and none is doubted. gap: days with hardly a post.';
COMMENT ON COLUMN core.anomalies.first_day IS 'First day of the period (UTC); of a new level, that on which it began.';
COMMENT ON COLUMN core.anomalies.last_day IS 'Last day of the period (UTC), included; of a new level, that on which it had lasted for half a year.';
COMMENT ON COLUMN core.anomalies.score_scale IS 'Of the labels that are compared, as in core.labels; NULL of a gap.';
COMMENT ON COLUMN core.anomalies.observed IS 'Share of scores of 1 or less among the labels of the period; of a gap, posts per day.';
COMMENT ON COLUMN core.anomalies.expected IS 'The same by the two years before; of a gap, by the weeks before and after it, whichever have less.';
COMMENT ON COLUMN core.anomalies.strength IS 'Share of its posts that must be first readings to explain the difference; of a gap, share of the expected posts that it lacks.';
COMMENT ON COLUMN core.anomalies.p_value IS 'Probability of as much by chance; of several windows, that of the clearest one.';
COMMENT ON COLUMN core.anomalies.posts IS 'Labelled posts made in the period; of a gap, posts that it lacks.';
COMMENT ON COLUMN core.anomalies.found_at IS 'When it was first found (UTC); it may have grown since.';

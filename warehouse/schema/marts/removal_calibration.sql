CREATE TABLE IF NOT EXISTS marts.removal_calibration (
    subreddit VARCHAR NOT NULL,
    bin INTEGER NOT NULL,
    posts INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    mean_probability DOUBLE NOT NULL,
    removed_share DOUBLE NOT NULL,
    removed_share_low DOUBLE,
    removed_share_high DOUBLE
);
COMMENT ON TABLE marts.removal_calibration IS 'Of the test posts to which the predictor of removals gave some probability, how many were removed? Up to five groups of about as many expected removals. | key: subreddit, bin';
COMMENT ON COLUMN marts.removal_calibration.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.removal_calibration.bin IS 'Group, 1 for the least likely; equal probabilities are in one group.';
COMMENT ON COLUMN marts.removal_calibration.posts IS 'Test posts in the group.';
COMMENT ON COLUMN marts.removal_calibration.removed IS 'Those of them that were removed.';
COMMENT ON COLUMN marts.removal_calibration.mean_probability IS 'Mean probability that they were given.';
COMMENT ON COLUMN marts.removal_calibration.removed_share IS 'Share that was removed.';
COMMENT ON COLUMN marts.removal_calibration.removed_share_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.removal_calibration.removed_share_high IS 'Upper end of that interval.';

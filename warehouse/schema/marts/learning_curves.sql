CREATE TABLE IF NOT EXISTS marts.learning_curves (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    posts INTEGER NOT NULL,
    test_posts INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    gain DOUBLE,
    gain_low DOUBLE,
    gain_high DOUBLE,
    reachable DOUBLE,
    reachable_low DOUBLE,
    reachable_high DOUBLE,
    pairs INTEGER,
    limited_by VARCHAR,
    reason VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.learning_curves IS 'How well a predictor does with ever more posts to learn from, the newest ones, judged on the same test posts, and what limits it. Computed on demand by `redpop analyse`. | key: subreddit, predictor, posts';
COMMENT ON COLUMN marts.learning_curves.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.learning_curves.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.learning_curves.posts IS 'Newest posts of the train part that it was fitted on; of the validation part it had the same share.';
COMMENT ON COLUMN marts.learning_curves.test_posts IS 'Posts of the test part.';
COMMENT ON COLUMN marts.learning_curves.spearman IS 'Spearman rank correlation of expected and actual log score, average ranks for ties; NULL where undefined, as for a constant, and for fewer than 30 posts.';
COMMENT ON COLUMN marts.learning_curves.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.learning_curves.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.learning_curves.gain IS 'Spearman minus that with half as many posts, on the same resamples; NULL for the fewest.';
COMMENT ON COLUMN marts.learning_curves.gain_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.learning_curves.gain_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.learning_curves.reachable IS 'Spearman that somebody who knows all about a picture would reach at least, by posts that show one picture; NULL for fewer than 30 pairs of them, and but for the most posts.';
COMMENT ON COLUMN marts.learning_curves.reachable_low IS 'Lower end of its 95 % bootstrap interval, clustered by picture.';
COMMENT ON COLUMN marts.learning_curves.reachable_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.learning_curves.pairs IS 'Pairs of posts that show one picture; NULL but for the most posts.';
COMMENT ON COLUMN marts.learning_curves.limited_by IS 'With the most posts: posts (twice as many gained something beyond chance), sight (they gained surely less than 0.02, and more can be known), luck or sight (they gained surely less, and nothing tells which), or cannot be told.';
COMMENT ON COLUMN marts.learning_curves.reason IS 'Why numbers are missing; NULL if none is.';
COMMENT ON COLUMN marts.learning_curves.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.learning_curves.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

CREATE TABLE IF NOT EXISTS marts.early_leaderboard (
    subreddit VARCHAR NOT NULL,
    age_hours INTEGER NOT NULL,
    predictor VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    test_posts INTEGER NOT NULL,
    test_clusters INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    mae DOUBLE,
    posting_predictor VARCHAR,
    posting_spearman DOUBLE,
    added_spearman DOUBLE,
    added_spearman_low DOUBLE,
    added_spearman_high DOUBLE,
    coverage_50 DOUBLE,
    coverage_80 DOUBLE,
    coverage_90 DOUBLE,
    mean_width_80 DOUBLE,
    speaks BOOLEAN NOT NULL,
    digest VARCHAR,
    inputs VARCHAR NOT NULL
);
COMMENT ON TABLE marts.early_leaderboard IS 'Predictors that follow a post, by age: on the test posts that have readings by that age, with what these add over the forecast at posting of the same posts. | key: subreddit, age_hours, predictor';
COMMENT ON COLUMN marts.early_leaderboard.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.early_leaderboard.age_hours IS 'Age up to which readings were looked at (hours).';
COMMENT ON COLUMN marts.early_leaderboard.predictor IS 'Short name, or at_posting: the champion, which sees no reading.';
COMMENT ON COLUMN marts.early_leaderboard.status IS 'trained or not_trained.';
COMMENT ON COLUMN marts.early_leaderboard.reason IS 'Why it was not trained; NULL when trained.';
COMMENT ON COLUMN marts.early_leaderboard.test_posts IS 'Posts of the test part with readings by that age.';
COMMENT ON COLUMN marts.early_leaderboard.test_clusters IS 'Independent groups of them: connected by author or picture.';
COMMENT ON COLUMN marts.early_leaderboard.spearman IS 'Spearman rank correlation of expected and actual log score; NULL where undefined, as for a constant.';
COMMENT ON COLUMN marts.early_leaderboard.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author and picture.';
COMMENT ON COLUMN marts.early_leaderboard.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_leaderboard.mae IS 'Mean absolute error of the log score.';
COMMENT ON COLUMN marts.early_leaderboard.posting_predictor IS 'The champion, which says what it expects when the post is made; NULL without one.';
COMMENT ON COLUMN marts.early_leaderboard.posting_spearman IS 'Its Spearman rank correlation on the same posts.';
COMMENT ON COLUMN marts.early_leaderboard.added_spearman IS 'What the readings add: Spearman of this predictor minus that of the champion, on the same posts.';
COMMENT ON COLUMN marts.early_leaderboard.added_spearman_low IS 'Lower end of its 95 % interval, paired: both on the same resamples.';
COMMENT ON COLUMN marts.early_leaderboard.added_spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.early_leaderboard.coverage_50 IS 'Share of the test posts whose score is inside of the 50 % interval: 0.5 is what it should be; NULL without one.';
COMMENT ON COLUMN marts.early_leaderboard.coverage_80 IS 'Share inside of the 80 % interval.';
COMMENT ON COLUMN marts.early_leaderboard.coverage_90 IS 'Share inside of the 90 % interval.';
COMMENT ON COLUMN marts.early_leaderboard.mean_width_80 IS 'Mean width of the 80 % interval (log score).';
COMMENT ON COLUMN marts.early_leaderboard.speaks IS 'Whether its forecasts of that age are written down.';
COMMENT ON COLUMN marts.early_leaderboard.digest IS 'Digest of the model (models.early_predictors).';
COMMENT ON COLUMN marts.early_leaderboard.inputs IS 'Digest of what the row was made from.';

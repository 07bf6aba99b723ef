CREATE TABLE IF NOT EXISTS marts.removal_metrics (
    subreddit VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    digest VARCHAR,
    age_hours DOUBLE NOT NULL,
    test_posts INTEGER NOT NULL,
    test_removed INTEGER NOT NULL,
    test_authors INTEGER NOT NULL,
    base_rate DOUBLE,
    pr_auc DOUBLE,
    pr_auc_low DOUBLE,
    pr_auc_high DOUBLE,
    brier DOUBLE,
    brier_of_base_rate DOUBLE,
    brier_skill DOUBLE,
    brier_skill_low DOUBLE,
    brier_skill_high DOUBLE,
    mean_probability DOUBLE,
    inputs VARCHAR NOT NULL
);
COMMENT ON TABLE marts.removal_metrics IS 'How good the predictor of removals is in each community, on the newest posts, which it did not learn from. | key: subreddit';
COMMENT ON COLUMN marts.removal_metrics.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.removal_metrics.status IS 'trained or not_trained.';
COMMENT ON COLUMN marts.removal_metrics.reason IS 'Why there is no predictor, such as too few removals; NULL if there is one.';
COMMENT ON COLUMN marts.removal_metrics.digest IS 'Digest of the model; NULL without one.';
COMMENT ON COLUMN marts.removal_metrics.age_hours IS 'Age from which the first reading of a post says whether it was removed (hours).';
COMMENT ON COLUMN marts.removal_metrics.test_posts IS 'Posts that judge it.';
COMMENT ON COLUMN marts.removal_metrics.test_removed IS 'Those of them that were removed.';
COMMENT ON COLUMN marts.removal_metrics.test_authors IS 'How many authors they have; posts without an author count as of one each.';
COMMENT ON COLUMN marts.removal_metrics.base_rate IS 'Share of the test posts that were removed: what pr_auc is for probabilities that know nothing.';
COMMENT ON COLUMN marts.removal_metrics.pr_auc IS 'Area under the curve of precision over recall (average precision).';
COMMENT ON COLUMN marts.removal_metrics.pr_auc_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.removal_metrics.pr_auc_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.removal_metrics.brier IS 'Mean squared error of the probabilities.';
COMMENT ON COLUMN marts.removal_metrics.brier_of_base_rate IS 'That of always saying the share of the train and validation parts.';
COMMENT ON COLUMN marts.removal_metrics.brier_skill IS 'By what share brier is below brier_of_base_rate; 0 is worthless, below 0 is harmful.';
COMMENT ON COLUMN marts.removal_metrics.brier_skill_low IS 'Lower end of its 95 % bootstrap interval, clustered by author.';
COMMENT ON COLUMN marts.removal_metrics.brier_skill_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.removal_metrics.mean_probability IS 'Mean of the probabilities of the test posts; if calibrated, near base_rate.';
COMMENT ON COLUMN marts.removal_metrics.inputs IS 'Digest of all that the row depends on: equal digests need no new measurement.';

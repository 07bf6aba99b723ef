CREATE TABLE IF NOT EXISTS marts.split_comparison (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    train_posts INTEGER NOT NULL,
    validation_posts INTEGER NOT NULL,
    test_posts INTEGER NOT NULL,
    left_out_posts INTEGER NOT NULL,
    unseen_author_share DOUBLE,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    kendall DOUBLE,
    mae DOUBLE,
    rmse DOUBLE,
    r2 DOUBLE,
    pair_accuracy DOUBLE,
    pair_accuracy_low DOUBLE,
    pair_accuracy_high DOUBLE,
    pairs INTEGER NOT NULL,
    pr_auc DOUBLE,
    top_quarter_share DOUBLE,
    note VARCHAR,
    split_digest VARCHAR NOT NULL,
    snapshot VARCHAR NOT NULL,
    version VARCHAR NOT NULL
);
COMMENT ON TABLE marts.split_comparison IS 'Every predictor trained again under each way to split the posts of a subreddit: how much random splits flatter beside the split by time. Computed on demand. | key: subreddit, predictor, split';
COMMENT ON COLUMN marts.split_comparison.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.split_comparison.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.split_comparison.split IS 'time: learn from the past, with an embargo; author: no author on both sides; random; one_per_author: one random post of each author, split at random; one_author: the posts of the author who has most of them, by time. Posts of one picture are on one side in all of them.';
COMMENT ON COLUMN marts.split_comparison.status IS 'trained or not_trained.';
COMMENT ON COLUMN marts.split_comparison.reason IS 'Why it was not trained; NULL when trained.';
COMMENT ON COLUMN marts.split_comparison.train_posts IS 'Posts of the train part.';
COMMENT ON COLUMN marts.split_comparison.validation_posts IS 'Posts of the validation part.';
COMMENT ON COLUMN marts.split_comparison.test_posts IS 'Posts of the test part.';
COMMENT ON COLUMN marts.split_comparison.left_out_posts IS 'Labelled posts in none of them: embargo, pictures seen before, further posts of an author, other authors.';
COMMENT ON COLUMN marts.split_comparison.unseen_author_share IS 'Share of the test posts whose author has no post among those learnt from.';
COMMENT ON COLUMN marts.split_comparison.spearman IS 'Spearman rank correlation of expected and actual log score in the test part.';
COMMENT ON COLUMN marts.split_comparison.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author and picture.';
COMMENT ON COLUMN marts.split_comparison.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.split_comparison.kendall IS 'Kendall''s tau-b.';
COMMENT ON COLUMN marts.split_comparison.mae IS 'Mean absolute error of the log score.';
COMMENT ON COLUMN marts.split_comparison.rmse IS 'Root of the mean squared error of the log score.';
COMMENT ON COLUMN marts.split_comparison.r2 IS 'Coefficient of determination of the log score.';
COMMENT ON COLUMN marts.split_comparison.pair_accuracy IS 'Share of time-controlled pairs whose order is right, as in marts.leaderboard.';
COMMENT ON COLUMN marts.split_comparison.pair_accuracy_low IS 'Lower end of its 95 % bootstrap interval.';
COMMENT ON COLUMN marts.split_comparison.pair_accuracy_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.split_comparison.pairs IS 'Number of such pairs.';
COMMENT ON COLUMN marts.split_comparison.pr_auc IS 'Average precision of finding the top quarter.';
COMMENT ON COLUMN marts.split_comparison.top_quarter_share IS 'Share of that quarter among the test posts: the average precision of a guess.';
COMMENT ON COLUMN marts.split_comparison.note IS 'Why there is no Spearman correlation.';
COMMENT ON COLUMN marts.split_comparison.split_digest IS 'SHA-256 of which post is in which part.';
COMMENT ON COLUMN marts.split_comparison.snapshot IS 'Snapshot of models.training_set with the posts, labels and features.';
COMMENT ON COLUMN marts.split_comparison.version IS 'Version of the metrics and of the predictor, and the seed: what is equal is not trained again.';

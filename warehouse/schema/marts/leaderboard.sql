CREATE TABLE IF NOT EXISTS marts.leaderboard (
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    test_posts INTEGER NOT NULL,
    spearman DOUBLE,
    spearman_low DOUBLE,
    spearman_high DOUBLE,
    mae DOUBLE,
    mse DOUBLE,
    pair_accuracy DOUBLE,
    pair_accuracy_low DOUBLE,
    pair_accuracy_high DOUBLE,
    pairs INTEGER NOT NULL,
    train_posts INTEGER NOT NULL,
    blocks VARCHAR[] NOT NULL,
    image_encoder VARCHAR,
    caption_encoder VARCHAR,
    clip_encoder VARCHAR,
    object_encoder VARCHAR,
    entity_model VARCHAR,
    emotion_model VARCHAR,
    untrained_weights BOOLEAN NOT NULL,
    snapshot VARCHAR NOT NULL,
    digest VARCHAR,
    metrics_version VARCHAR NOT NULL,
    standing VARCHAR,
    smallest_detectable DOUBLE,
    kendall DOUBLE,
    rmse DOUBLE,
    r2 DOUBLE,
    median_absolute_error DOUBLE,
    ndcg_at_10 DOUBLE,
    precision_at_10_percent DOUBLE,
    pr_auc DOUBLE,
    top_quarter_share DOUBLE,
    test_clusters INTEGER,
    note VARCHAR,
    networks_ran VARCHAR,
    left_out_posts INTEGER,
    lenders INTEGER
);
COMMENT ON TABLE marts.leaderboard IS 'Every predictor on the test part of the one shared time split, within its subreddit: what one looks at first; marts.metrics has all metrics, marts.comparisons all differences. | key: subreddit, predictor';
COMMENT ON COLUMN marts.leaderboard.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.leaderboard.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.leaderboard.status IS 'trained or not_trained.';
COMMENT ON COLUMN marts.leaderboard.reason IS 'Why it was not trained; NULL when trained.';
COMMENT ON COLUMN marts.leaderboard.test_posts IS 'Posts of the test part.';
COMMENT ON COLUMN marts.leaderboard.spearman IS 'Spearman rank correlation of expected and actual log score, average ranks for ties; NULL where undefined, as for a constant.';
COMMENT ON COLUMN marts.leaderboard.spearman_low IS 'Lower end of its 95 % bootstrap interval, clustered by author and picture.';
COMMENT ON COLUMN marts.leaderboard.spearman_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.leaderboard.mae IS 'Mean absolute error of the log score.';
COMMENT ON COLUMN marts.leaderboard.mse IS 'Mean squared error of the log score.';
COMMENT ON COLUMN marts.leaderboard.pair_accuracy IS 'Share of time-controlled pairs whose order is right: posted within 6 h, scores at least 2 x and 20 points apart; a tie counts half.';
COMMENT ON COLUMN marts.leaderboard.pair_accuracy_low IS 'Lower end of its 95 % bootstrap interval, clustered by author and picture.';
COMMENT ON COLUMN marts.leaderboard.pair_accuracy_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.leaderboard.pairs IS 'Number of such pairs.';
COMMENT ON COLUMN marts.leaderboard.train_posts IS 'Posts it was fitted on.';
COMMENT ON COLUMN marts.leaderboard.blocks IS 'Feature blocks it uses.';
COMMENT ON COLUMN marts.leaderboard.image_encoder IS 'Encoder of the pictures it looks at; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.caption_encoder IS 'Encoder of the captions it looks at; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.clip_encoder IS 'Network that compares pictures and words for it; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.object_encoder IS 'Network that names what pictures show for it; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.entity_model IS 'Model that finds names in captions for it; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.emotion_model IS 'Network that finds emotions in captions for it; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.untrained_weights IS 'True if one of these encoders has random weights: a test, not a result.';
COMMENT ON COLUMN marts.leaderboard.snapshot IS 'Snapshot of models.training_set it was trained and tested on.';
COMMENT ON COLUMN marts.leaderboard.digest IS 'Digest of the model (models.predictors).';
COMMENT ON COLUMN marts.leaderboard.metrics_version IS 'Version of the metrics, seed of the bootstrap, digest of the predictions that were judged, and posts left out.';
COMMENT ON COLUMN marts.leaderboard.standing IS 'By Spearman: best, if better than every other beyond chance (p < 0.05 after Holm''s correction) and than nothing; among_best, if not worse than the highest beyond chance; else worse. NULL where Spearman is undefined.';
COMMENT ON COLUMN marts.leaderboard.smallest_detectable IS 'Difference of Spearman that a test at 5 % would find here with a power of 80 %: median over the pairs of predictors.';
COMMENT ON COLUMN marts.leaderboard.kendall IS 'Kendall''s tau-b of expected and actual log score.';
COMMENT ON COLUMN marts.leaderboard.rmse IS 'Root of the mean squared error of the log score.';
COMMENT ON COLUMN marts.leaderboard.r2 IS 'Coefficient of determination of the log score; negative if worse than the mean of the test posts.';
COMMENT ON COLUMN marts.leaderboard.median_absolute_error IS 'Median absolute error of the score (points).';
COMMENT ON COLUMN marts.leaderboard.ndcg_at_10 IS 'Normalised discounted cumulative gain of the ten posts expected to score most; the gain is the percentile among the test posts.';
COMMENT ON COLUMN marts.leaderboard.precision_at_10_percent IS 'Share of the top 10 % among the 10 % that are expected to score most.';
COMMENT ON COLUMN marts.leaderboard.pr_auc IS 'Average precision of finding the top quarter, whose threshold comes from the posts learnt from.';
COMMENT ON COLUMN marts.leaderboard.top_quarter_share IS 'Share of that quarter among the test posts: the average precision of a guess.';
COMMENT ON COLUMN marts.leaderboard.test_clusters IS 'Independent groups of test posts: connected by author or picture.';
COMMENT ON COLUMN marts.leaderboard.note IS 'Why there is no Spearman correlation.';
COMMENT ON COLUMN marts.leaderboard.networks_ran IS 'How the encoders it looks through ran when it was trained, such as image: torch float32; NULL if it uses none.';
COMMENT ON COLUMN marts.leaderboard.left_out_posts IS 'Labelled posts of the subreddit that are neither learnt from nor judged, as core.doubtful_labels has them; NULL in rows made before these were counted.';
COMMENT ON COLUMN marts.leaderboard.lenders IS 'Other communities whose posts it was fitted on as well, as in models.predictors; NULL if it borrows from nobody.';

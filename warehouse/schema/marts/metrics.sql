CREATE TABLE IF NOT EXISTS marts.metrics (
    scope VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE,
    low DOUBLE,
    high DOUBLE,
    standard_error DOUBLE,
    chance DOUBLE,
    n INTEGER NOT NULL,
    subreddits INTEGER NOT NULL,
    note VARCHAR
);
COMMENT ON TABLE marts.metrics IS 'Every metric of every trained predictor on the test part of the one shared time split, by target, within subreddits and as their mean. | key: scope, subreddit, predictor, target, metric';
COMMENT ON COLUMN marts.metrics.scope IS 'subreddit; macro_mean: unweighted mean over the subreddits with at least 30 test posts in which the metric is defined; pooled: all test posts in one heap, which says mostly which community is large.';
COMMENT ON COLUMN marts.metrics.subreddit IS 'Community in lower case; empty for macro_mean and pooled.';
COMMENT ON COLUMN marts.metrics.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.metrics.target IS 'What is predicted: log_score; month_percentile among the posts of the same month; trailing_ratio to the usual score of the 30 days before; per_subscriber; top_quarter and extreme_quarters (top against bottom) of the community, author_top_quarter and author_extreme_quarters of the author.';
COMMENT ON COLUMN marts.metrics.metric IS 'spearman, kendall, mae, mse, rmse, r2, median_absolute_error (points), within_10_percent, same_magnitude (a factor below 3.2), pair_accuracy, ndcg_at_10, ndcg_at_50, precision_at_10_percent; precision, recall, f1, accuracy, pr_auc, roc_auc; coverage_50, width_50 (log scale) and so on of prediction intervals.';
COMMENT ON COLUMN marts.metrics.value IS 'Its value; NULL where it is undefined.';
COMMENT ON COLUMN marts.metrics.low IS 'Lower end of its 95 % interval: percentiles of 1,000 resamples of the posts connected by author or picture; of a macro mean from the standard errors.';
COMMENT ON COLUMN marts.metrics.high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.metrics.standard_error IS 'Deviation over these resamples.';
COMMENT ON COLUMN marts.metrics.chance IS 'What predictions that know nothing reach, such as the share of positives for pr_auc, or of the larger class for accuracy; NULL where there is no such number.';
COMMENT ON COLUMN marts.metrics.n IS 'Test posts that are judged; of pair_accuracy, the pairs.';
COMMENT ON COLUMN marts.metrics.subreddits IS 'Subreddits behind the value: 1 within a subreddit.';
COMMENT ON COLUMN marts.metrics.note IS 'Why there is no value or no interval; of pooled values, a warning.';

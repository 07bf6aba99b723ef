CREATE TABLE IF NOT EXISTS marts.comparisons (
    scope VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    first VARCHAR NOT NULL,
    second VARCHAR NOT NULL,
    difference DOUBLE NOT NULL,
    low DOUBLE,
    high DOUBLE,
    standard_error DOUBLE,
    p_value DOUBLE,
    p_holm DOUBLE,
    smallest_detectable DOUBLE,
    n INTEGER NOT NULL,
    subreddits INTEGER NOT NULL
);
COMMENT ON TABLE marts.comparisons IS 'Each two predictors on the same test posts, by the metrics that decide: how far apart, and whether beyond chance. Where a metric is undefined, as Spearman of a constant, there is no row. | key: scope, subreddit, target, metric, first, second';
COMMENT ON COLUMN marts.comparisons.scope IS 'subreddit, or macro_mean: the mean difference over the subreddits with at least 30 test posts.';
COMMENT ON COLUMN marts.comparisons.subreddit IS 'Community in lower case; empty for macro_mean.';
COMMENT ON COLUMN marts.comparisons.target IS 'As in marts.metrics.';
COMMENT ON COLUMN marts.comparisons.metric IS 'As in marts.metrics: spearman, pair_accuracy and mae of the log score, pr_auc of the top quarter.';
COMMENT ON COLUMN marts.comparisons.first IS 'The predictor with the better value.';
COMMENT ON COLUMN marts.comparisons.second IS 'The predictor that it is compared with.';
COMMENT ON COLUMN marts.comparisons.difference IS 'Value of the first minus that of the second; of mae, where less is better, at most 0.';
COMMENT ON COLUMN marts.comparisons.low IS 'Lower end of its 95 % interval from a paired bootstrap, uncorrected.';
COMMENT ON COLUMN marts.comparisons.high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.comparisons.standard_error IS 'Deviation of the difference over the resamples.';
COMMENT ON COLUMN marts.comparisons.p_value IS 'Two-sided, of the difference over its standard error; NULL where that is 0.';
COMMENT ON COLUMN marts.comparisons.p_holm IS 'Corrected by Holm''s procedure over all pairs of the subreddit and metric: below 0.05 the first one is better beyond chance.';
COMMENT ON COLUMN marts.comparisons.smallest_detectable IS 'Difference that one test at 5 % would find with a power of 80 %: 2.80 standard errors. Smaller ones need more test posts.';
COMMENT ON COLUMN marts.comparisons.n IS 'Test posts, or pairs, that both were judged on.';
COMMENT ON COLUMN marts.comparisons.subreddits IS 'Subreddits behind the difference: 1 within a subreddit.';

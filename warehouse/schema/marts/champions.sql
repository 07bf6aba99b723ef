CREATE OR REPLACE VIEW marts.champions AS
SELECT
    c.subreddit,
    c.predictor,
    m.digest,
    m.snapshot,
    c.promoted_at,
    c.judged_at,
    c.reason,
    c.test_posts,
    c.mae,
    c.median_mae
FROM models.champions AS c
JOIN models.predictors AS m ON m.subreddit = c.subreddit AND m.predictor = c.predictor
WHERE m.status = 'trained'
    AND c.judgement = (SELECT max(l.judgement) FROM models.champions AS l WHERE l.subreddit = c.subreddit);
COMMENT ON VIEW marts.champions IS 'The predictor that speaks for each subreddit now: the last judgement of models.champions. | key: subreddit';
COMMENT ON COLUMN marts.champions.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.champions.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.champions.digest IS 'Digest of its present model.';
COMMENT ON COLUMN marts.champions.snapshot IS 'Snapshot of models.training_set that it was trained on.';
COMMENT ON COLUMN marts.champions.promoted_at IS 'Since when it has been the champion (UTC).';
COMMENT ON COLUMN marts.champions.judged_at IS 'When it was judged last (UTC).';
COMMENT ON COLUMN marts.champions.reason IS 'What the last judgement said.';
COMMENT ON COLUMN marts.champions.test_posts IS 'Posts that judged it then.';
COMMENT ON COLUMN marts.champions.mae IS 'Its mean absolute error of the log score on them.';
COMMENT ON COLUMN marts.champions.median_mae IS 'That of the median of the train part.';

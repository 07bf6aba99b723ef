-- Which predictors learnt an interaction of picture and text, and is it worth anything?

-- EMAP (Hessel & Lee 2020): the predictor beside its projection onto a sum of one function of the picture and one of
-- everything else. As of the last `redpop analyse`.
SELECT
    subreddit,
    predictor,
    posts,
    round(spearman, 3) AS spearman,
    round(additive_spearman, 3) AS additive_spearman,
    round(gap, 3) AS gap,
    round(gap_low, 3) AS gap_low,
    round(gap_high, 3) AS gap_high,
    round(additive_share, 3) AS additive_share,
    CASE WHEN gap_low > 0 THEN 'useful' WHEN gap_high < 0 THEN 'harmful' WHEN gap IS NOT NULL THEN 'not beyond chance' END
        AS interaction,
    reason
FROM marts.emap
ORDER BY subreddit, marts.emap.gap DESC NULLS LAST, predictor;

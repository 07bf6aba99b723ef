-- Which features go with the score in each subreddit, honestly?

-- Rank correlations with the matured score, strongest first, of what was known when the post was made. Only those whose
-- 95 % interval (resampling authors) leaves out 0; of many features without any effect one in twenty does so by chance,
-- and by_chance says how many of the subreddit those would be. What is suspicious is probably no honest feature.
WITH measured AS (
    SELECT *, 0.05 * count(*) OVER (PARTITION BY subreddit) AS by_chance
    FROM marts.feature_catalogue
    WHERE leakage <> 'after_post' AND spearman_low IS NOT NULL
)
SELECT
    subreddit,
    block,
    feature,
    round(spearman, 3) AS spearman,
    round(spearman_low, 3) AS spearman_low,
    round(spearman_high, 3) AS spearman_high,
    labelled_posts,
    round(missing_share, 3) AS missing_share,
    known_at,
    method,
    leakage,
    round(by_chance, 1) AS by_chance,
    description
FROM measured
WHERE spearman_low > 0 OR spearman_high < 0
ORDER BY subreddit, abs(measured.spearman) DESC, block, feature;

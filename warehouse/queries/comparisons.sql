-- Which predictor is better than which, beyond chance?

-- Paired differences on the same test posts. p_holm is corrected over all pairs of a subreddit and metric: with
-- p_holm < 0.05 the first one is better. Where nothing is, differences below smallest_detectable could not be seen.
SELECT
    if(scope = 'subreddit', subreddit, '(macro mean)') AS community,
    target,
    metric,
    "first",
    "second",
    round(difference, 3) AS difference,
    round(low, 3) AS low,
    round(high, 3) AS high,
    round(p_holm, 4) AS p_holm,
    coalesce(p_holm < 0.05, FALSE) AS better_beyond_chance,
    round(smallest_detectable, 3) AS smallest_detectable,
    n,
    subreddits
FROM marts.comparisons
ORDER BY scope DESC, community, target, metric, marts.comparisons.p_holm NULLS LAST, "first", "second";

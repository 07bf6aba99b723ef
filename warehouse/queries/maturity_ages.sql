-- At what age have posts of each subreddit half, and nine tenths, of the score they end up with?

-- The first age in marts.growth_curves at which the median post has reached that share; NULL if it has not before the
-- label age. If nine tenths are only reached shortly before the label age, labels are read too early: raise
-- REDPOP_LABEL_AGE_DAYS.
SELECT
    subreddit,
    score_scale,
    min(from_hours) FILTER (share_median >= 0.5) AS half_from_hours,
    min(from_hours) FILTER (share_median >= 0.9) AS nine_tenths_from_hours,
    max(from_hours) AS last_from_hours,
    round(arg_max(share_median, from_hours), 3) AS last_share_median,
    arg_max(posts, from_hours) AS last_posts
FROM marts.growth_curves
GROUP BY ALL
ORDER BY subreddit, score_scale;

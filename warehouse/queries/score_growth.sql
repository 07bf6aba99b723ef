-- How fast do scores grow with the age of a post in each subreddit?

-- Quartiles of the share of the labelled score that was reached at each age. Ages hold different posts, so a young age
-- speaks for those that were found young.
SELECT
    subreddit,
    score_scale,
    from_hours,
    to_hours,
    posts,
    round(median_age_hours, 1) AS median_age_hours,
    round(share_q25, 3) AS share_q25,
    round(share_median, 3) AS share_median,
    round(share_q75, 3) AS share_q75
FROM marts.growth_curves
ORDER BY subreddit, score_scale, from_hours;

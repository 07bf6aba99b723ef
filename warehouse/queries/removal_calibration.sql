-- Of posts to which some probability of being taken down was given, how many were?

SELECT
    subreddit,
    bin,
    posts,
    removed,
    round(mean_probability, 3) AS mean_probability,
    round(removed_share, 3) AS removed_share,
    round(removed_share_low, 3) AS removed_share_low,
    round(removed_share_high, 3) AS removed_share_high
FROM marts.removal_calibration
ORDER BY subreddit, bin;

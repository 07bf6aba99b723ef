-- Which things in a picture raise or lower what `learn_deeply` expects, beyond chance?

-- Summed over its train posts (log score). As of the last `redpop analyse`.
SELECT
    subreddit,
    rank,
    family,
    round(weight, 3) AS weight,
    round(weight_low, 3) AS weight_low,
    round(weight_high, 3) AS weight_high
FROM marts.object_families
WHERE weight_low > 0 OR weight_high < 0
ORDER BY subreddit, rank;

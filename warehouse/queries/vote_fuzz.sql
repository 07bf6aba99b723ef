-- How noisy is a single reading of a score in each subreddit?

-- Reddit fuzzes scores: two readings of a matured post within a minute differ although hardly anybody votes any more.
-- The noise of one reading is the root mean square of these differences over the square root of 2; in points, by size
-- of the score.
WITH readings AS (
    SELECT
        o.subreddit,
        o.post_id,
        o.observed_at,
        o.score,
        lead(o.observed_at) OVER post AS next_observed_at,
        lead(o.score) OVER post AS next_score
    FROM raw.observations AS o
    JOIN core.labels AS l USING (post_id)
    WHERE o.observed_at >= coalesce(l.first_observed_at, l.observed_at)
        AND o.score IS NOT NULL
        AND NOT coalesce(o.hide_score, FALSE)
    WINDOW post AS (PARTITION BY o.post_id ORDER BY o.observed_at)
)
SELECT
    subreddit,
    (10 ** floor(log10(greatest(abs(score), 1))))::INTEGER AS score_from,
    count(*) AS pairs,
    count(DISTINCT post_id) AS posts,
    round(avg((next_score <> score)::INTEGER), 3) AS share_that_differ,
    round(avg(next_score - score), 3) AS mean_difference,
    round(sqrt(avg((next_score - score) ** 2) / 2), 3) AS noise_of_a_reading,
    max(abs(next_score - score)) AS largest_difference
FROM readings
WHERE next_observed_at - observed_at <= INTERVAL 1 MINUTE
GROUP BY ALL
ORDER BY subreddit, score_from;

-- How fast do scores grow with the age of a post in each subreddit?

-- Median share of the labelled score that was reached at each age, in buckets that double in width; the last reading of
-- each post in a bucket. Posts with labels below 10 are left out: there vote fuzzing is larger than growth. Buckets
-- hold different posts, so a young bucket speaks for those that were found young.
WITH readings AS (
    SELECT
        l.subreddit,
        l.score_scale,
        greatest(epoch(o.observed_at - p.created_at) / 3600, 0) AS age_hours,
        CASE WHEN age_hours < 1 THEN 0 ELSE 2 ** floor(log2(age_hours)) END::INTEGER AS from_hours,
        o.score / l.score AS share
    FROM core.labels AS l
    JOIN core.posts AS p USING (post_id)
    JOIN raw.observations AS o USING (post_id)
    WHERE l.score >= 10 AND o.observed_at < l.observed_at AND o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE)
    QUALIFY row_number() OVER (PARTITION BY l.post_id, from_hours ORDER BY o.observed_at DESC) = 1
)
SELECT
    subreddit,
    score_scale,
    from_hours,
    greatest(2 * from_hours, 1) AS to_hours,
    count(*) AS posts,
    round(quantile_cont(share, 0.25), 3) AS share_q25,
    round(median(share), 3) AS share_median,
    round(quantile_cont(share, 0.75), 3) AS share_q75
FROM readings
GROUP BY ALL
ORDER BY subreddit, score_scale, from_hours;

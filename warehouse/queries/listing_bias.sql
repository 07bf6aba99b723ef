-- How far do the posts found in each listing differ in score from those found in `new`?

-- Percentiles of the label by the listing in which a post was first seen. Posts found in `top` are there because they
-- scored: what a collection made from `top` says about popularity holds for popular posts only. Posts without a
-- sighting go by their origin.
WITH first_sightings AS (
    SELECT post_id, listing, time_filter, seen_at
    FROM raw.sightings
    QUALIFY row_number() OVER (PARTITION BY post_id ORDER BY seen_at, listing, time_filter) = 1
)
SELECT
    l.subreddit,
    l.score_scale,
    coalesce(f.listing, s.origin) AS found_in,
    coalesce(f.time_filter, '') AS period,
    count(*) AS posts,
    round(quantile_cont(l.percentile, 0.25), 3) AS percentile_q25,
    round(median(l.percentile), 3) AS percentile_median,
    round(quantile_cont(l.percentile, 0.75), 3) AS percentile_q75,
    round(avg((l.percentile >= 0.9)::INTEGER), 3) AS share_in_top_tenth,
    round(median(epoch(f.seen_at - p.created_at) / 3600), 1) AS median_age_when_found_hours
FROM core.labels AS l
JOIN core.posts AS p USING (post_id)
JOIN raw.submissions AS s USING (post_id)
LEFT JOIN first_sightings AS f USING (post_id)
GROUP BY ALL
ORDER BY l.subreddit, l.score_scale, posts DESC, found_in, period;

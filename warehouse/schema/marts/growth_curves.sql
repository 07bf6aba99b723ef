CREATE OR REPLACE VIEW marts.growth_curves AS
WITH aged AS (
    SELECT
        h.subreddit,
        l.score_scale,
        h.age_hours,
        h.share_of_label,
        CASE
            WHEN h.age_hours < 1 THEN 0
            WHEN h.age_hours < 3 THEN 1
            WHEN h.age_hours < 6 THEN 3
            WHEN h.age_hours < 12 THEN 6
            WHEN h.age_hours < 24 THEN 12
            ELSE 24 * floor(h.age_hours / 24)
        END::INTEGER AS from_hours
    FROM marts.score_histories AS h
    JOIN core.labels AS l USING (post_id)
    WHERE l.score >= 10
        AND h.share_of_label IS NOT NULL
        AND h.observed_at < coalesce(l.first_observed_at, l.observed_at)
    QUALIFY row_number() OVER (PARTITION BY h.post_id, from_hours ORDER BY h.observed_at) = 1
)
SELECT
    subreddit,
    score_scale,
    from_hours,
    CASE from_hours WHEN 0 THEN 1 WHEN 1 THEN 3 WHEN 3 THEN 6 WHEN 6 THEN 12 WHEN 12 THEN 24 ELSE from_hours + 24 END
        AS to_hours,
    count(*) AS posts,
    median(age_hours) AS median_age_hours,
    quantile_cont(share_of_label, 0.25) AS share_q25,
    median(share_of_label) AS share_median,
    quantile_cont(share_of_label, 0.75) AS share_q75
FROM aged
GROUP BY ALL;
COMMENT ON VIEW marts.growth_curves IS 'What share of its score at the label age a post has at each age, by subreddit: the first reading of a post in each bucket of age, as posts are read at 1, 3, 6, 12, 24 hours and then daily. Labels below 10 are left out, because vote fuzzing is larger there than growth; so are masked readings, and those that made the label. | key: subreddit, score_scale, from_hours';
COMMENT ON COLUMN marts.growth_curves.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.growth_curves.score_scale IS 'before_2016_12 or current: Reddit re-scaled scores in December 2016.';
COMMENT ON COLUMN marts.growth_curves.from_hours IS 'Age of the posts: from so many hours …';
COMMENT ON COLUMN marts.growth_curves.to_hours IS '… to below so many.';
COMMENT ON COLUMN marts.growth_curves.posts IS 'Labelled posts with a reading at that age; another age may have others.';
COMMENT ON COLUMN marts.growth_curves.median_age_hours IS 'Median of their ages at that reading (hours).';
COMMENT ON COLUMN marts.growth_curves.share_q25 IS 'A quarter of them had at most this share of their later score.';
COMMENT ON COLUMN marts.growth_curves.share_median IS 'Half of them had at most this share.';
COMMENT ON COLUMN marts.growth_curves.share_q75 IS 'Three quarters of them had at most this share.';

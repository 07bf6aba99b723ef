-- Do scores of each subreddit drift from month to month?

-- By month of posting (UTC). Without drift the mean percentile stays at 0.5. Its interval (95 %) counts authors, not
-- posts, as independent (cluster-robust standard error); with fewer than ten authors there is none. Months whose posts
-- were read long after the label age, or found in `top`, differ by how they were collected: see the last column, and
-- listing_bias.sql.
WITH labelled AS (
    SELECT
        p.subreddit,
        l.score_scale,
        date_trunc('month', p.created_at)::DATE AS month,
        coalesce(p.author, p.post_id) AS author,
        l.score,
        l.percentile,
        l.age_at_label_hours
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
),
by_author AS (
    SELECT subreddit, score_scale, month, author, count(*) AS posts, sum(percentile) AS total
    FROM labelled
    GROUP BY ALL
),
deviations AS (
    SELECT *, total - posts * sum(total) OVER alike / sum(posts) OVER alike AS deviation
    FROM by_author
    WINDOW alike AS (PARTITION BY subreddit, score_scale, month)
),
means AS (
    SELECT
        subreddit,
        score_scale,
        month,
        sum(posts)::BIGINT AS posts,
        count(*) AS authors,
        sum(total) / sum(posts) AS mean,
        sqrt(count(*) / nullif(count(*) - 1, 0) * sum(deviation ** 2)) / sum(posts) AS standard_error
    FROM deviations
    GROUP BY ALL
),
scores AS (
    SELECT
        subreddit,
        score_scale,
        month,
        quantile_disc(score, 0.1) AS score_q10,
        quantile_disc(score, 0.5) AS score_median,
        quantile_disc(score, 0.9) AS score_q90,
        median(age_at_label_hours) AS median_age_at_label_hours
    FROM labelled
    GROUP BY ALL
)
SELECT
    subreddit,
    score_scale,
    month,
    m.posts,
    m.authors,
    s.score_q10,
    s.score_median,
    s.score_q90,
    round(m.mean, 3) AS mean_percentile,
    CASE WHEN m.authors >= 10 THEN round(m.mean - 1.96 * m.standard_error, 3) END AS mean_low,
    CASE WHEN m.authors >= 10 THEN round(m.mean + 1.96 * m.standard_error, 3) END AS mean_high,
    round(s.median_age_at_label_hours, 1) AS median_age_at_label_hours
FROM means AS m
JOIN scores AS s USING (subreddit, score_scale, month)
ORDER BY subreddit, score_scale, month;

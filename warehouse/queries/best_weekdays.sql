-- On which weekday (UTC) do posts of each subreddit score best, and how sure is that?

-- Mean percentile by weekday, 1 = Monday to 7 = Sunday; 0.5 is the average of the subreddit. The interval (95 %) counts
-- authors, not posts, as independent (cluster-robust standard error); with fewer than ten authors there is none.
WITH labelled AS (
    SELECT
        p.subreddit,
        l.score_scale,
        isodow(p.created_at) AS weekday,
        coalesce(p.author, p.post_id) AS author,
        l.percentile
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
),
by_author AS (
    SELECT subreddit, score_scale, weekday, author, count(*) AS posts, sum(percentile) AS total
    FROM labelled
    GROUP BY ALL
),
deviations AS (
    SELECT *, total - posts * sum(total) OVER alike / sum(posts) OVER alike AS deviation
    FROM by_author
    WINDOW alike AS (PARTITION BY subreddit, score_scale, weekday)
),
means AS (
    SELECT
        subreddit,
        score_scale,
        weekday,
        sum(posts)::BIGINT AS posts,
        count(*) AS authors,
        sum(total) / sum(posts) AS mean,
        sqrt(count(*) / nullif(count(*) - 1, 0) * sum(deviation ** 2)) / sum(posts) AS standard_error
    FROM deviations
    GROUP BY ALL
)
SELECT
    subreddit,
    score_scale,
    weekday,
    posts,
    authors,
    round(mean, 3) AS mean_percentile,
    CASE WHEN authors >= 10 THEN round(mean - 1.96 * standard_error, 3) END AS mean_low,
    CASE WHEN authors >= 10 THEN round(mean + 1.96 * standard_error, 3) END AS mean_high
FROM means
ORDER BY subreddit, score_scale, mean DESC, weekday;

-- Do posts whose picture could not be had score differently from the others?

-- Mean percentile by what became of the primary picture. If the means differ, predictors that need the picture are
-- judged on a biased sample. The interval (95 %) counts authors, not posts, as independent (cluster-robust standard
-- error); with fewer than ten authors there is none.
WITH labelled AS (
    SELECT
        p.subreddit,
        l.score_scale,
        coalesce(f.status, 'not tried') AS image_status,
        coalesce(p.author, p.post_id) AS author,
        l.percentile
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    LEFT JOIN core.primary_images AS f USING (post_id)
),
by_author AS (
    SELECT subreddit, score_scale, image_status, author, count(*) AS posts, sum(percentile) AS total
    FROM labelled
    GROUP BY ALL
),
deviations AS (
    SELECT *, total - posts * sum(total) OVER alike / sum(posts) OVER alike AS deviation
    FROM by_author
    WINDOW alike AS (PARTITION BY subreddit, score_scale, image_status)
),
means AS (
    SELECT
        subreddit,
        score_scale,
        image_status,
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
    image_status,
    posts,
    authors,
    round(mean, 3) AS mean_percentile,
    CASE WHEN authors >= 10 THEN round(mean - 1.96 * standard_error, 3) END AS mean_low,
    CASE WHEN authors >= 10 THEN round(mean + 1.96 * standard_error, 3) END AS mean_high
FROM means
ORDER BY subreddit, score_scale, posts DESC, image_status;

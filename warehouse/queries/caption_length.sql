-- How long is the caption of a post that scores well in each subreddit?

-- Mean percentile by number of words in steps of five; 0.5 is the average of the subreddit. The interval (95 %) counts
-- authors, not posts, as independent (cluster-robust standard error); with fewer than ten authors there is none.
WITH labelled AS (
    SELECT
        p.subreddit,
        l.score_scale,
        least(f.words::INTEGER // 5 * 5, 30) AS words_from,
        coalesce(p.author, p.post_id) AS author,
        l.percentile
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    JOIN features.caption_features AS f USING (caption_sha256)
    WHERE f.code_version::INTEGER = (SELECT max(code_version::INTEGER) FROM features.caption_features)
),
by_author AS (
    SELECT subreddit, score_scale, words_from, author, count(*) AS posts, sum(percentile) AS total
    FROM labelled
    GROUP BY ALL
),
deviations AS (
    SELECT *, total - posts * sum(total) OVER alike / sum(posts) OVER alike AS deviation
    FROM by_author
    WINDOW alike AS (PARTITION BY subreddit, score_scale, words_from)
),
means AS (
    SELECT
        subreddit,
        score_scale,
        words_from,
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
    words_from,
    posts,
    authors,
    round(mean, 3) AS mean_percentile,
    CASE WHEN authors >= 10 THEN round(mean - 1.96 * standard_error, 3) END AS mean_low,
    CASE WHEN authors >= 10 THEN round(mean + 1.96 * standard_error, 3) END AS mean_high
FROM means
ORDER BY subreddit, score_scale, words_from;

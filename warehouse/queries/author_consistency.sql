-- How much of the variance of scores in each subreddit lies between authors?

-- Intraclass correlation ICC(1) of log scores, from a one-way analysis of variance with groups of unequal size (Donner
-- 1986): 0 if authors do not differ, 1 if each always scores the same. Authors with at least two labelled posts. The
-- interval (95 %) is that of a jackknife that leaves out one author at a time.
WITH authors AS (
    SELECT
        p.subreddit,
        l.score_scale,
        p.author,
        count(*) AS posts,
        sum(l.log_score) AS total,
        var_pop(l.log_score) * count(*) AS within_squares
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    WHERE p.author IS NOT NULL
    GROUP BY ALL
    HAVING count(*) >= 2
),
everybody AS (
    SELECT
        subreddit,
        score_scale,
        count(*) AS authors,
        sum(posts) AS posts,
        sum(posts ** 2) AS squared_posts,
        sum(total) AS total,
        sum(total ** 2 / posts) AS squared_totals,
        sum(within_squares) AS within_squares
    FROM authors
    GROUP BY ALL
),
samples AS (
    SELECT *, NULL AS left_out FROM everybody
    UNION ALL BY NAME
    SELECT
        subreddit,
        score_scale,
        e.authors - 1 AS authors,
        e.posts - a.posts AS posts,
        e.squared_posts - a.posts ** 2 AS squared_posts,
        e.total - a.total AS total,
        e.squared_totals - a.total ** 2 / a.posts AS squared_totals,
        e.within_squares - a.within_squares AS within_squares,
        a.author AS left_out
    FROM everybody AS e
    JOIN authors AS a USING (subreddit, score_scale)
),
mean_squares AS (
    SELECT
        *,
        (squared_totals - total ** 2 / posts) / (authors - 1) AS between_authors,
        within_squares / (posts - authors) AS within_authors,
        (posts - squared_posts / posts) / (authors - 1) AS typical_posts
    FROM samples
    WHERE authors >= 2
),
correlations AS (
    SELECT
        *,
        (between_authors - within_authors)
        / nullif(between_authors + (typical_posts - 1) * within_authors, 0) AS intraclass_correlation
    FROM mean_squares
),
jackknife AS (
    SELECT
        subreddit,
        score_scale,
        sqrt((count(*) - 1) * var_pop(intraclass_correlation)) AS standard_error
    FROM correlations
    WHERE left_out IS NOT NULL
    GROUP BY ALL
)
SELECT
    c.subreddit,
    c.score_scale,
    c.authors,
    c.posts::BIGINT AS posts,
    round(c.intraclass_correlation, 3) AS intraclass_correlation,
    round(c.intraclass_correlation - 1.96 * j.standard_error, 3) AS intraclass_correlation_low,
    round(c.intraclass_correlation + 1.96 * j.standard_error, 3) AS intraclass_correlation_high
FROM correlations AS c
LEFT JOIN jackknife AS j USING (subreddit, score_scale)
WHERE c.left_out IS NULL
ORDER BY c.subreddit, c.score_scale;

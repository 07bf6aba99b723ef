-- Which properties of a picture go with a high score in each subreddit?

-- Spearman's rank correlation of size, light, colour and sharpness of the primary picture with the score. The interval
-- (95 %, Bonett & Wright 2000) takes each author as one observation, so it is on the wide side; even so, one of eleven
-- may miss 0 by chance.
WITH pictures AS (
    UNPIVOT (
        SELECT * EXCLUDE code_version
        FROM features.image_features
        WHERE code_version::INTEGER = (SELECT max(code_version::INTEGER) FROM features.image_features)
    )
    ON COLUMNS(* EXCLUDE image_sha256) INTO NAME feature VALUE amount
),
ranked AS (
    SELECT
        l.subreddit,
        l.score_scale,
        f.feature,
        coalesce(p.author, p.post_id) AS author,
        -- Equal values share their mean rank; the constant one half does not matter to a correlation.
        rank() OVER (
            PARTITION BY l.subreddit, l.score_scale, f.feature ORDER BY f.amount
        ) + count(*) OVER (PARTITION BY l.subreddit, l.score_scale, f.feature, f.amount) / 2 AS amount_rank,
        rank() OVER (
            PARTITION BY l.subreddit, l.score_scale, f.feature ORDER BY l.score
        ) + count(*) OVER (PARTITION BY l.subreddit, l.score_scale, f.feature, l.score) / 2 AS score_rank
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    JOIN core.primary_images AS i USING (post_id)
    JOIN pictures AS f ON f.image_sha256 = i.image_sha256
),
correlations AS (
    SELECT
        subreddit,
        score_scale,
        feature,
        count(*) AS posts,
        count(DISTINCT author) AS authors,
        -- The correlation with a constant is undefined, here NULL.
        CASE WHEN min(amount_rank) < max(amount_rank) AND min(score_rank) < max(score_rank)
            THEN greatest(-1, least(corr(amount_rank, score_rank), 1)) END AS spearman,
        CASE WHEN authors > 3 THEN sqrt((1 + spearman ** 2 / 2) / (authors - 3)) END AS standard_error
    FROM ranked
    GROUP BY ALL
)
SELECT
    subreddit,
    score_scale,
    feature,
    posts,
    authors,
    round(spearman, 3) AS spearman,
    round(tanh(atanh(spearman) - 1.96 * standard_error), 3) AS spearman_low,
    round(tanh(atanh(spearman) + 1.96 * standard_error), 3) AS spearman_high
FROM correlations
ORDER BY subreddit, score_scale, abs(correlations.spearman) DESC NULLS LAST, feature;

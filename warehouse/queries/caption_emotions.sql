-- Which emotions and sentiments of a caption go with a high score in each subreddit?

-- Spearman's rank correlation of VADER sentiment and NRC emotions with the score. The interval (95 %, Bonett & Wright
-- 2000) takes each author as one observation, so it is on the wide side; even so, one of fourteen may miss 0 by chance.
WITH captions AS (
    UNPIVOT (
        SELECT caption_sha256, COLUMNS('^(vader|nrc)_')
        FROM features.caption_features
        WHERE code_version::INTEGER = (SELECT max(code_version::INTEGER) FROM features.caption_features)
    )
    ON COLUMNS(* EXCLUDE caption_sha256) INTO NAME feature VALUE strength
),
ranked AS (
    SELECT
        l.subreddit,
        l.score_scale,
        f.feature,
        coalesce(p.author, p.post_id) AS author,
        -- Equal values share their mean rank; the constant one half does not matter to a correlation.
        rank() OVER (
            PARTITION BY l.subreddit, l.score_scale, f.feature ORDER BY f.strength
        ) + count(*) OVER (PARTITION BY l.subreddit, l.score_scale, f.feature, f.strength) / 2 AS strength_rank,
        rank() OVER (
            PARTITION BY l.subreddit, l.score_scale, f.feature ORDER BY l.score
        ) + count(*) OVER (PARTITION BY l.subreddit, l.score_scale, f.feature, l.score) / 2 AS score_rank
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    JOIN captions AS f USING (caption_sha256)
),
correlations AS (
    SELECT
        subreddit,
        score_scale,
        feature,
        count(*) AS posts,
        count(DISTINCT author) AS authors,
        -- The correlation with a constant is undefined, here NULL.
        CASE WHEN min(strength_rank) < max(strength_rank) AND min(score_rank) < max(score_rank)
            THEN greatest(-1, least(corr(strength_rank, score_rank), 1)) END AS spearman,
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

-- How did the three best posts of each subreddit come by their scores?

-- Reading by reading; points per hour since the reading before.
WITH best AS (
    SELECT subreddit, post_id, score AS label
    FROM core.labels
    QUALIFY row_number() OVER (PARTITION BY subreddit ORDER BY percentile DESC, score DESC, post_id) <= 3
)
SELECT
    h.subreddit,
    h.post_id,
    b.label,
    round(h.age_hours, 2) AS age_hours,
    h.score,
    round(h.share_of_label, 3) AS share_of_label,
    round(
        (h.score - lag(h.score) OVER post) / nullif(h.age_hours - lag(h.age_hours) OVER post, 0), 1
    ) AS points_per_hour,
    h.upvote_ratio,
    h.num_comments
FROM best AS b
JOIN marts.score_histories AS h USING (post_id)
WINDOW post AS (PARTITION BY h.post_id ORDER BY h.observed_at)
ORDER BY h.subreddit, b.label DESC, h.post_id, h.observed_at;

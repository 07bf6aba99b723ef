-- When did the archive of a community have wrong scores, and on which days has it no posts?

-- With the median label of the period, and of the ninety days before it: first readings are 1 or 0, whatever became of
-- the post. Labels of the kind first_readings are in no training set (core.doubtful_labels).
SELECT
    a.subreddit,
    a.kind,
    a.first_day,
    a.last_day,
    round(a.observed, 3) AS observed,
    round(a.expected, 3) AS expected,
    round(a.strength, 2) AS strength,
    a.p_value,
    a.posts,
    median(l.score) FILTER (p.created_at::DATE >= a.first_day) AS median_score,
    median(l.score) FILTER (p.created_at::DATE < a.first_day) AS median_score_before
FROM core.anomalies AS a
LEFT JOIN core.posts AS p
    ON p.subreddit = a.subreddit AND p.created_at::DATE BETWEEN a.first_day - INTERVAL 90 DAY AND a.last_day
LEFT JOIN core.labels AS l ON l.post_id = p.post_id
GROUP BY ALL
ORDER BY a.subreddit, a.first_day, a.kind;

-- Why were collected posts rejected in each subreddit, and how large a share of them?

SELECT
    r.subreddit,
    r.reason,
    count(*) AS posts,
    round(count(*) / any_value(s.posts), 3) AS share_of_collected,
    mode(r.detail ORDER BY r.detail) AS most_frequent_detail
FROM core.rejected_posts AS r
JOIN (SELECT subreddit, count(*) AS posts FROM raw.submissions GROUP BY subreddit) AS s USING (subreddit)
GROUP BY r.subreddit, r.reason
ORDER BY r.subreddit, posts DESC, r.reason;

-- Which pictures were posted more than once, and how did the posts fare?

-- Files that are equal byte for byte, as the primary picture of several posts. Percentiles are each within the
-- subreddit.
SELECT
    image_sha256,
    count(*) AS posts,
    count(DISTINCT author) AS authors,
    list_sort(list(DISTINCT subreddit)) AS subreddits,
    min(created_at) AS first_posted_at,
    max(created_at) AS last_posted_at,
    arg_min(caption, (created_at, post_id)) AS first_caption,
    round(arg_min_null(percentile, (created_at, post_id)), 3) AS first_percentile,
    round(min(percentile), 3) AS lowest_percentile,
    round(max(percentile), 3) AS highest_percentile
FROM marts.posts
WHERE image_sha256 IS NOT NULL
GROUP BY image_sha256
HAVING count(*) > 1
ORDER BY posts DESC, first_posted_at, image_sha256;

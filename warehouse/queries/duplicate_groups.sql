-- Which pictures were posted several times in any form, and did the first post do best?

-- Groups of core.duplicates: crossposts, spellings of one URL, equal files, equal pixels, or nearly equal hashes.
-- Percentiles are each within the subreddit; young posts have none.
SELECT
    d.duplicate_group,
    count(*) AS posts,
    count(DISTINCT p.author) AS authors,
    list_sort(list(DISTINCT p.subreddit)) AS subreddits,
    list_sort(list(DISTINCT d.level) FILTER (d.level IS NOT NULL)) AS levels,
    min(p.created_at) AS first_posted_at,
    max(p.created_at) AS last_posted_at,
    any_value(p.caption) FILTER (d.canonical) AS first_caption,
    round(any_value(p.percentile) FILTER (d.canonical), 3) AS first_percentile,
    round(avg(p.percentile) FILTER (NOT d.canonical), 3) AS mean_percentile_of_reposts,
    round(max(p.percentile), 3) AS highest_percentile
FROM core.duplicates AS d
JOIN marts.posts AS p USING (post_id)
GROUP BY d.duplicate_group
HAVING count(*) > 1
ORDER BY posts DESC, first_posted_at, d.duplicate_group;

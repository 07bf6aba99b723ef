-- Which kinds of pictures are popular, which unpopular, and what does a typical one of each look like?

-- K-means categories of the pictures of top and bottom quarters; the figure image_category_posts shows them. As of the
-- last `redpop analyse`.
SELECT
    c.subreddit,
    c.category,
    c.posts,
    round(c.unpopular_share, 3) AS unpopular_share,
    round(c.unpopular_share_low, 3) AS unpopular_share_low,
    round(c.unpopular_share_high, 3) AS unpopular_share_high,
    c.picked_out,
    c.typical_post,
    p.caption AS typical_caption
FROM marts.image_categories AS c
LEFT JOIN core.posts AS p ON p.post_id = c.typical_post
ORDER BY c.subreddit, c.category;

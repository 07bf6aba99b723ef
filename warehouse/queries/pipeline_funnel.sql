-- How many posts of each subreddit reach each stage, from collected to tested?

SELECT
    s.subreddit,
    count(*) AS collected,
    count(p.post_id) AS kept,
    count(p.post_id) FILTER (p.image_status = 'stored') AS with_picture,
    count(e.image_sha256) AS with_image_embedding,
    count(p.score) AS labelled,
    count(t.post_id) FILTER (t.split = 'train') AS train,
    count(t.post_id) FILTER (t.split = 'validation') AS validation,
    count(t.post_id) FILTER (t.split = 'test') AS test,
    min(s.discovered_at) AS first_collected_at,
    max(s.discovered_at) AS last_collected_at
FROM raw.submissions AS s
LEFT JOIN marts.posts AS p USING (post_id)
LEFT JOIN (SELECT DISTINCT image_sha256 FROM features.image_embeddings) AS e ON e.image_sha256 = p.image_sha256
LEFT JOIN models.training_set AS t ON t.post_id = s.post_id
GROUP BY s.subreddit
ORDER BY s.subreddit;

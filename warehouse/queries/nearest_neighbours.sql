-- Which pictures look most like that of the best post of each subreddit, and did they score well too?

-- The five nearest other pictures by cosine similarity, for each image encoder in its latest version.
WITH latest AS (
    SELECT encoder, max(code_version::INTEGER)::VARCHAR AS code_version
    FROM features.image_embeddings
    GROUP BY encoder
),
pictures AS (
    SELECT p.subreddit, e.encoder, p.image_sha256, p.post_id, p.caption, p.score, p.percentile, e.embedding
    FROM marts.posts AS p
    JOIN features.image_embeddings AS e USING (image_sha256)
    SEMI JOIN latest AS l ON l.encoder = e.encoder AND l.code_version = e.code_version
),
best AS (
    SELECT *
    FROM pictures
    WHERE percentile IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY subreddit, encoder ORDER BY percentile DESC, score DESC, post_id) = 1
),
neighbours AS (
    SELECT
        b.subreddit,
        b.encoder,
        b.post_id AS best_post_id,
        b.caption AS best_caption,
        n.post_id,
        n.caption,
        list_cosine_similarity(b.embedding, n.embedding) AS similarity,
        n.score,
        n.percentile
    FROM best AS b
    JOIN pictures AS n USING (subreddit, encoder)
    WHERE n.image_sha256 <> b.image_sha256
)
SELECT
    subreddit,
    encoder,
    best_post_id,
    best_caption,
    row_number() OVER (PARTITION BY subreddit, encoder ORDER BY similarity DESC, post_id) AS neighbour,
    post_id,
    caption,
    round(similarity, 3) AS similarity,
    score,
    round(percentile, 3) AS percentile
FROM neighbours
QUALIFY neighbour <= 5
ORDER BY subreddit, encoder, neighbour;

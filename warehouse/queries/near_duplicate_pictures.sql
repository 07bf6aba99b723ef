-- Which different files show nearly the same picture?

-- Perceptual hashes that differ in at most 6 of 64 bits, each picture with its first post. Two such hashes agree in at
-- least two of their eight bytes, so only pictures with a byte in common are compared.
WITH first_posts AS (
    SELECT *
    FROM marts.posts
    WHERE image_sha256 IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY image_sha256 ORDER BY created_at, post_id) = 1
),
hash_bytes AS (
    SELECT i.image_sha256, ('0x' || i.phash)::UBIGINT AS bits, b.position, substr(i.phash, b.position, 2) AS digits
    FROM core.images AS i
    SEMI JOIN first_posts AS p ON p.image_sha256 = i.image_sha256
    CROSS JOIN range(1, 16, 2) AS b(position)
),
pairs AS (
    SELECT DISTINCT a.image_sha256 AS image, b.image_sha256 AS other, bit_count(xor(a.bits, b.bits)) AS distance
    FROM hash_bytes AS a
    JOIN hash_bytes AS b ON a.position = b.position AND a.digits = b.digits AND a.image_sha256 < b.image_sha256
    WHERE bit_count(xor(a.bits, b.bits)) <= 6
)
SELECT
    d.distance,
    p.subreddit,
    p.post_id,
    p.created_at,
    p.caption,
    round(p.percentile, 3) AS percentile,
    q.subreddit AS other_subreddit,
    q.post_id AS other_post_id,
    q.created_at AS other_created_at,
    q.caption AS other_caption,
    round(q.percentile, 3) AS other_percentile
FROM pairs AS d
JOIN first_posts AS p ON p.image_sha256 = d.image
JOIN first_posts AS q ON q.image_sha256 = d.other
ORDER BY d.distance, p.created_at, p.post_id, q.post_id;

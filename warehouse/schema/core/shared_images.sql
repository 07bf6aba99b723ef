-- Five addresses and four authors: a picture that goes round is usually passed on by its address, or recompressed on the
-- way; one file behind so many addresses is a repost by hand, again and again, or what a host shows for removed
-- pictures. Only the latter is nearly empty: known ones have 0.5 to 3 kB, and a photograph of the smallest accepted size
-- has more than 5 kB; or they are a plain colour, of which not even a perceptual hash can be taken (contrast below 5).
CREATE OR REPLACE VIEW core.shared_images AS
WITH uses AS (
    SELECT
        f.image_sha256,
        count(DISTINCT coalesce(f.canonical_url, f.url)) AS urls,
        count(DISTINCT coalesce(p.author, p.post_id)) AS authors,
        count(DISTINCT p.post_id) AS posts,
        min(p.created_at) AS first_posted_at
    FROM core.image_urls AS p
    JOIN core.image_fetches AS f USING (url)
    WHERE f.status = 'stored'
    GROUP BY f.image_sha256
    HAVING urls >= 2
)
SELECT
    u.image_sha256,
    CASE
        WHEN u.urls < 5 OR u.authors < 4 THEN 'repost'
        WHEN i.bytes < 5000 OR i.contrast < 5 THEN 'placeholder'
        ELSE 'repost or placeholder'
    END AS verdict,
    CASE WHEN verdict = 'placeholder' THEN if(i.bytes < 5000, 'small_file', 'low_contrast') END AS rule,
    u.urls,
    u.authors,
    u.posts,
    u.first_posted_at,
    i.stored_at,
    i.bytes,
    i.contrast
FROM uses AS u
JOIN core.images AS i USING (image_sha256);
COMMENT ON VIEW core.shared_images IS 'Files that several different addresses lead to: reposts, or what hosts show instead of removed pictures. | key: image_sha256';
COMMENT ON COLUMN core.shared_images.image_sha256 IS 'SHA-256 of the bytes as downloaded, hexadecimal.';
COMMENT ON COLUMN core.shared_images.verdict IS 'repost; repost or placeholder (at least 5 addresses and 4 authors: look at it); or placeholder (besides, below 5 kB or without contrast), which the next download removes.';
COMMENT ON COLUMN core.shared_images.rule IS 'What gives a placeholder away: small_file or low_contrast; NULL for the others.';
COMMENT ON COLUMN core.shared_images.urls IS 'Different addresses, spellings of one address counted once.';
COMMENT ON COLUMN core.shared_images.authors IS 'Different authors; an unknown author counts once per post.';
COMMENT ON COLUMN core.shared_images.posts IS 'Posts that show it, galleries included.';
COMMENT ON COLUMN core.shared_images.first_posted_at IS 'When the earliest of them was made (UTC).';
COMMENT ON COLUMN core.shared_images.stored_at IS 'When the file was written, by this machine''s clock (UTC).';
COMMENT ON COLUMN core.shared_images.bytes IS 'Size of the stored file (bytes).';
COMMENT ON COLUMN core.shared_images.contrast IS 'Standard deviation of the 32x32 grey version, 0 to 255.';

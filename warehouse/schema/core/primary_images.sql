CREATE OR REPLACE VIEW core.primary_images AS
SELECT
    p.post_id,
    p.subreddit,
    coalesce(s.url, p.image_urls[1]) AS url,
    s.url IS NOT NULL AS is_preview,
    coalesce(s.status, f.status) AS status,
    CASE WHEN s.url IS NULL THEN f.reason END AS reason,
    coalesce(f.image_sha256, s.image_sha256) AS image_sha256
FROM core.posts AS p
LEFT JOIN core.image_fetches AS f ON f.url = p.image_urls[1]
LEFT JOIN core.image_fetches AS s
    -- One side of = knows nothing of the other: DuckDB would compare each post with each address otherwise.
    ON s.url = CASE WHEN f.image_sha256 IS NULL THEN p.preview_url END AND s.image_sha256 IS NOT NULL;
COMMENT ON VIEW core.primary_images IS 'The one picture that stands for each post: its primary image or, where that is dead, the preview that Reddit kept of it. | key: post_id';
COMMENT ON COLUMN core.primary_images.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.primary_images.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.primary_images.url IS 'Key into core.image_fetches.';
COMMENT ON COLUMN core.primary_images.is_preview IS 'True if the preview stands in.';
COMMENT ON COLUMN core.primary_images.status IS 'What became of it: stored, retry, failed or gone; NULL if not tried yet.';
COMMENT ON COLUMN core.primary_images.reason IS 'Reason code where it was not stored.';
COMMENT ON COLUMN core.primary_images.image_sha256 IS 'Content of the picture; NULL without one.';

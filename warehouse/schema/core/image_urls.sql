CREATE OR REPLACE VIEW core.image_urls AS
SELECT
    post_id,
    subreddit,
    author,
    created_at,
    unnest(image_urls) AS url,
    generate_subscripts(image_urls, 1)::INTEGER AS position,
    FALSE AS is_preview
FROM core.posts
UNION ALL
SELECT post_id, subreddit, author, created_at, preview_url, 1, TRUE FROM core.posts WHERE preview_url IS NOT NULL;
COMMENT ON VIEW core.image_urls IS 'Every address that may bring a picture of a post: those of core.posts.image_urls, and the preview. | key: post_id, position, is_preview';
COMMENT ON COLUMN core.image_urls.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.image_urls.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.image_urls.author IS 'Keyed hash of the author name; NULL when unknown.';
COMMENT ON COLUMN core.image_urls.created_at IS 'When the post was made (UTC).';
COMMENT ON COLUMN core.image_urls.url IS 'Key into core.image_fetches, once it was asked for.';
COMMENT ON COLUMN core.image_urls.position IS 'Place in the gallery, from 1; 1 is the primary image.';
COMMENT ON COLUMN core.image_urls.is_preview IS 'True for the preview, which stands in for a primary image that is dead.';

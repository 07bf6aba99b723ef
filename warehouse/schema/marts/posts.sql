CREATE OR REPLACE VIEW marts.posts AS
SELECT
    p.post_id,
    p.subreddit,
    p.created_at,
    p.author,
    p.caption,
    p.flair,
    p.kind,
    l.score,
    l.log_score,
    l.percentile,
    l.source AS label_source,
    l.age_at_label_hours,
    f.status AS image_status,
    f.reason AS image_reason,
    i.image_sha256,
    i.width,
    i.height
FROM core.posts AS p
LEFT JOIN core.labels AS l USING (post_id)
LEFT JOIN core.primary_images AS f USING (post_id)
LEFT JOIN core.images AS i ON i.image_sha256 = f.image_sha256;
COMMENT ON VIEW marts.posts IS 'One row per post with what people ask first: caption, score, percentile and picture. | key: post_id';
COMMENT ON COLUMN marts.posts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.posts.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.posts.created_at IS 'When the post was made (UTC).';
COMMENT ON COLUMN marts.posts.author IS 'Keyed hash of the author name; NULL when unknown.';
COMMENT ON COLUMN marts.posts.caption IS 'Title of the post.';
COMMENT ON COLUMN marts.posts.flair IS 'Link flair at first sight.';
COMMENT ON COLUMN marts.posts.kind IS 'image, gallery, album, self, crosspost or preview.';
COMMENT ON COLUMN marts.posts.score IS 'Score at the label age; NULL while the post is younger.';
COMMENT ON COLUMN marts.posts.log_score IS 'sign(score) * ln(1 + |score|).';
COMMENT ON COLUMN marts.posts.percentile IS 'Percentile of the score within the subreddit, from 0 to 1.';
COMMENT ON COLUMN marts.posts.label_source IS 'Where the score was read: reddit, arctic_shift, archive (a file), or several of them.';
COMMENT ON COLUMN marts.posts.age_at_label_hours IS 'Age of the post when it was read first (hours): scores of other ages are not alike.';
COMMENT ON COLUMN marts.posts.image_status IS 'What became of the primary image: stored, retry, failed or gone; NULL if not tried yet.';
COMMENT ON COLUMN marts.posts.image_reason IS 'Reason code where it was not stored.';
COMMENT ON COLUMN marts.posts.image_sha256 IS 'Content of the primary image.';
COMMENT ON COLUMN marts.posts.width IS 'Width of the primary image (pixels).';
COMMENT ON COLUMN marts.posts.height IS 'Height of the primary image (pixels).';

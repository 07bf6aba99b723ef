-- Which files lie behind several addresses: reposts, or what hosts show instead of removed pictures?

-- Placeholders that were recognised are in core.placeholder_images and no longer here. Look at what is called `repost or
-- placeholder`: many people posted exactly this file, each under an address of its own.
SELECT s.verdict, s.urls, s.authors, s.posts, s.first_posted_at, s.bytes, round(s.contrast, 1) AS contrast, i.path
FROM core.shared_images AS s
JOIN core.images AS i USING (image_sha256)
ORDER BY s.verdict = 'repost', s.urls DESC, s.first_posted_at, s.image_sha256;

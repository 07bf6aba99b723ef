CREATE TABLE IF NOT EXISTS core.posts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    author VARCHAR,
    caption VARCHAR NOT NULL,
    caption_sha256 VARCHAR NOT NULL,
    flair VARCHAR,
    kind VARCHAR NOT NULL,
    image_urls VARCHAR[] NOT NULL,
    image_captions VARCHAR[],
    preview_url VARCHAR,
    crosspost_parent VARCHAR,
    is_original_content BOOLEAN NOT NULL,
    over_18 BOOLEAN NOT NULL,
    spoiler BOOLEAN NOT NULL,
    author_present BOOLEAN,
    removed_by_category VARCHAR,
    revised_at TIMESTAMP,
    code_version VARCHAR NOT NULL
);
COMMENT ON TABLE core.posts IS 'Image posts that passed the cleaning rules. Every raw submission is here or in core.rejected_posts. | key: post_id';
COMMENT ON COLUMN core.posts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.posts.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.posts.created_at IS 'When the post was made (UTC).';
COMMENT ON COLUMN core.posts.author IS 'Keyed hash of the author name; NULL when the account is gone or the source has none.';
COMMENT ON COLUMN core.posts.caption IS 'Title, HTML entities of archives decoded, outer and zero-width space removed.';
COMMENT ON COLUMN core.posts.caption_sha256 IS 'SHA-256 of the caption in UTF-8, hexadecimal: the key of everything computed from it.';
COMMENT ON COLUMN core.posts.flair IS 'Link flair at first sight; NULL without one.';
COMMENT ON COLUMN core.posts.kind IS 'image, gallery, album (only the cover of an imgur album is known), self (pictures inside a text), crosspost, or preview (only the preview image of another page is left).';
COMMENT ON COLUMN core.posts.image_urls IS 'Image URLs in the order of the gallery; the first is the primary image.';
COMMENT ON COLUMN core.posts.image_captions IS 'What the author wrote below each image of a gallery, in the order of image_urls, NULL entries without; NULL if there is none at all.';
COMMENT ON COLUMN core.posts.preview_url IS 'Copy of the first image on the servers of Reddit, of preview quality, to ask for when the image itself is dead; NULL without one.';
COMMENT ON COLUMN core.posts.crosspost_parent IS 'Base36 id of the original of a crosspost.';
COMMENT ON COLUMN core.posts.is_original_content IS 'Original-content flag set by the author.';
COMMENT ON COLUMN core.posts.over_18 IS 'Marked as mature at first sight, or a crosspost of such a post.';
COMMENT ON COLUMN core.posts.spoiler IS 'Marked as spoiler at first sight.';
COMMENT ON COLUMN core.posts.author_present IS 'author_present of the latest observation the row was made from.';
COMMENT ON COLUMN core.posts.removed_by_category IS 'removed_by_category of the latest observation the row was made from.';
COMMENT ON COLUMN core.posts.revised_at IS 'revised_at of the row of raw.submissions the row was made from (UTC); NULL while that is as first seen.';
COMMENT ON COLUMN core.posts.code_version IS 'Version of the cleaning rules that made the row.';

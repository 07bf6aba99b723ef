CREATE TABLE IF NOT EXISTS core.duplicates (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    duplicate_group VARCHAR NOT NULL,
    canonical BOOLEAN NOT NULL,
    level VARCHAR,
    distance INTEGER
);
COMMENT ON TABLE core.duplicates IS 'Which posts show one picture, across all communities: every post of core.posts with its group, alone or not. The primary image of a gallery decides. | key: post_id';
COMMENT ON COLUMN core.duplicates.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.duplicates.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN core.duplicates.duplicate_group IS 'Base36 id of the canonical post of the group, its earliest.';
COMMENT ON COLUMN core.duplicates.canonical IS 'Whether this is the canonical post; so is every post that is alone.';
COMMENT ON COLUMN core.duplicates.level IS 'The strongest evidence that connects the post with the canonical one, if need be through others: post (a crosspost), url, bytes, pixels, or perceptual (compared with the canonical picture itself). NULL for the canonical post.';
COMMENT ON COLUMN core.duplicates.distance IS 'Bits in which the pHash differs from that of the canonical picture; NULL unless perceptual.';

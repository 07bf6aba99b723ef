CREATE TABLE IF NOT EXISTS raw.tombstones (
    post_id VARCHAR NOT NULL,
    first_seen_at TIMESTAMP,
    last_seen_at TIMESTAMP,
    forgotten_at TIMESTAMP NOT NULL,
    reason VARCHAR NOT NULL
);
COMMENT ON TABLE raw.tombstones IS 'Posts that were forgotten: nothing else of them is kept anywhere, and they are never stored again. | key: post_id';
COMMENT ON COLUMN raw.tombstones.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN raw.tombstones.first_seen_at IS 'When the post was first seen (UTC); NULL if it never was.';
COMMENT ON COLUMN raw.tombstones.last_seen_at IS 'Last reading that held the post (UTC); NULL if there was none.';
COMMENT ON COLUMN raw.tombstones.forgotten_at IS 'When it was forgotten, by this machine''s clock (UTC).';
COMMENT ON COLUMN raw.tombstones.reason IS 'Why: removed_by_… (the category), missing (gone from Reddit), parent_forgotten (a crosspost of such a post), by_request or author_by_request.';

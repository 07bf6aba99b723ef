CREATE TABLE IF NOT EXISTS core.image_fetches (
    url VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    detail VARCHAR NOT NULL,
    http_status INTEGER,
    image_sha256 VARCHAR,
    attempts INTEGER NOT NULL,
    fetched_at TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP
);
COMMENT ON TABLE core.image_fetches IS 'What became of each image URL of core.posts. Key: (url).';
COMMENT ON COLUMN core.image_fetches.url IS 'The URL as it stands in core.posts.image_urls.';
COMMENT ON COLUMN core.image_fetches.status IS 'stored, retry (a later run tries again) or failed (final).';
COMMENT ON COLUMN core.image_fetches.reason IS 'Reason code of a failure: url_dead, not_image_bytes, too_big, blocked_address, timeout, …; NULL when stored.';
COMMENT ON COLUMN core.image_fetches.detail IS 'The error in words; empty when stored.';
COMMENT ON COLUMN core.image_fetches.http_status IS 'Status of the last answer; NULL when there was none.';
COMMENT ON COLUMN core.image_fetches.image_sha256 IS 'Key into core.images; NULL unless stored.';
COMMENT ON COLUMN core.image_fetches.attempts IS 'Attempts so far, all runs together.';
COMMENT ON COLUMN core.image_fetches.fetched_at IS 'Time of the last attempt, by this machine''s clock (UTC).';
COMMENT ON COLUMN core.image_fetches.next_attempt_at IS 'Not tried again before this time (UTC); NULL when final.';

CREATE TABLE IF NOT EXISTS core.image_fetches (
    url VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    detail VARCHAR NOT NULL,
    http_status INTEGER,
    image_sha256 VARCHAR,
    attempts INTEGER NOT NULL,
    fetched_at TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP,
    canonical_url VARCHAR,
    etag VARCHAR,
    last_modified VARCHAR,
    checked_at TIMESTAMP,
    paused_until TIMESTAMP
);
COMMENT ON TABLE core.image_fetches IS 'What became of each image URL of core.posts. | key: url';
COMMENT ON COLUMN core.image_fetches.url IS 'The URL as it stands in core.image_urls.';
COMMENT ON COLUMN core.image_fetches.status IS 'stored, retry (a later run tries again), failed (final) or gone (was stored, its host has removed it since).';
COMMENT ON COLUMN core.image_fetches.reason IS 'Reason code of a failure: url_dead, not_image_bytes, too_big, blocked_address, timeout, decoder_died, file_lost, …; of a stored picture: why its last check did not confirm it. NULL when all is well.';
COMMENT ON COLUMN core.image_fetches.detail IS 'The reason in words; empty without one.';
COMMENT ON COLUMN core.image_fetches.http_status IS 'Status of the last answer, 200 if it confirmed a stored picture; NULL when there was none.';
COMMENT ON COLUMN core.image_fetches.image_sha256 IS 'Key into core.images; NULL unless stored.';
COMMENT ON COLUMN core.image_fetches.attempts IS 'Attempts to get the picture so far, all runs together; 0 if another spelling of the URL brought it.';
COMMENT ON COLUMN core.image_fetches.fetched_at IS 'Time of the last attempt to get the picture, by this machine''s clock (UTC).';
COMMENT ON COLUMN core.image_fetches.next_attempt_at IS 'Not asked again before this time (UTC); NULL when final, and for a stored picture before its regular check.';
COMMENT ON COLUMN core.image_fetches.canonical_url IS 'What all spellings of the URL have in common; a picture is fetched through one of them.';
COMMENT ON COLUMN core.image_fetches.etag IS 'Version of the picture by its host, sent along when it is checked; NULL if the host names none.';
COMMENT ON COLUMN core.image_fetches.last_modified IS 'Likewise: the Last-Modified header as it came.';
COMMENT ON COLUMN core.image_fetches.checked_at IS 'When the host last confirmed the stored picture, by this machine''s clock (UTC); NULL if it never was stored.';
COMMENT ON COLUMN core.image_fetches.paused_until IS 'Until when the host asked to be left alone (UTC); none of its URLs is asked before. NULL if it did not.';

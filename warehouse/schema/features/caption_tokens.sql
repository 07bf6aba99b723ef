CREATE TABLE IF NOT EXISTS features.caption_tokens (
    caption_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    tokens VARCHAR[] NOT NULL,
    tags VARCHAR[] NOT NULL
);
COMMENT ON TABLE features.caption_tokens IS 'Captions as sequences of words, emoji and tags, one row per caption. | key: caption_sha256, code_version';
COMMENT ON COLUMN features.caption_tokens.caption_sha256 IS 'SHA-256 of the caption. | known_at: before_post';
COMMENT ON COLUMN features.caption_tokens.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.caption_tokens.tokens IS 'The first 64 of: words in lower case with digits folded to #, emoji, and tags such as [oc]. | known_at: before_post';
COMMENT ON COLUMN features.caption_tokens.tags IS 'The bracket tags, each once, in lower case; sizes in pixels are [resolution]. | known_at: before_post';

CREATE TABLE IF NOT EXISTS features.caption_embeddings (
    caption_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    embedding FLOAT[] NOT NULL USING COMPRESSION uncompressed
);
COMMENT ON TABLE features.caption_embeddings IS 'Vectors of captions, keyed by content: a changed score or a repost costs nothing. | key: caption_sha256, encoder, code_version';
COMMENT ON COLUMN features.caption_embeddings.caption_sha256 IS 'Content the vector was made from. | known_at: before_post';
COMMENT ON COLUMN features.caption_embeddings.encoder IS 'Key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.caption_embeddings.code_version IS 'Version of the preprocessing and pooling. | known_at: before_post';
COMMENT ON COLUMN features.caption_embeddings.embedding IS 'L2-normalised vector, features.encoders.dimension long; cast it to FLOAT[n] for DuckDB''s array functions. | known_at: before_post';

CREATE TABLE IF NOT EXISTS features.caption_image_agreement (
    caption_sha256 VARCHAR NOT NULL,
    image_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    agreement FLOAT NOT NULL,
    inconsistency FLOAT NOT NULL
);
COMMENT ON TABLE features.caption_image_agreement IS 'How well a caption describes its image, one row per pair that a post has shown; no row where either is missing. | key: caption_sha256, image_sha256, encoder, code_version';
COMMENT ON COLUMN features.caption_image_agreement.caption_sha256 IS 'Content of the caption. | known_at: before_post';
COMMENT ON COLUMN features.caption_image_agreement.image_sha256 IS 'Content of the image. | known_at: before_post';
COMMENT ON COLUMN features.caption_image_agreement.encoder IS 'The CLIP that made both vectors, such as open_clip:ViT-B-32/laion2b_s34b_b79k. | known_at: before_post';
COMMENT ON COLUMN features.caption_image_agreement.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.caption_image_agreement.agreement IS 'Cosine of the vectors of caption and image, -1 to 1; far below 1 even where they match. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.caption_image_agreement.inconsistency IS '1 - cosine, 0 to 2. | known_at: before_post | unit: 0 to 2 | source: Hsu et al. 2024';

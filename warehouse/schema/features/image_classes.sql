CREATE TABLE IF NOT EXISTS features.image_classes (
    image_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    probabilities FLOAT[] NOT NULL USING COMPRESSION uncompressed
);
COMMENT ON TABLE features.image_classes IS 'Class probabilities of stored images, from image encoders that have a classifier. | key: image_sha256, encoder, code_version';
COMMENT ON COLUMN features.image_classes.image_sha256 IS 'Content that was classified. | known_at: before_post';
COMMENT ON COLUMN features.image_classes.encoder IS 'Key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.image_classes.code_version IS 'Version of the preprocessing and pooling. | known_at: before_post';
COMMENT ON COLUMN features.image_classes.probabilities IS 'Softmax over the classes of the network, in its order (ImageNet-1k: 1,000); sums to 1. | known_at: before_post | unit: 0 to 1';

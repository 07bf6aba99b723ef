CREATE TABLE IF NOT EXISTS features.image_grids (
    image_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    channels INTEGER NOT NULL,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    grid BLOB NOT NULL
);
COMMENT ON TABLE features.image_grids IS 'Features of stored images before pooling, where they still lie in space, from convolutional image encoders. | key: image_sha256, encoder, code_version';
COMMENT ON COLUMN features.image_grids.image_sha256 IS 'Content the grid was made from. | known_at: before_post';
COMMENT ON COLUMN features.image_grids.encoder IS 'Key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.image_grids.code_version IS 'Version of the preprocessing and pooling. | known_at: before_post';
COMMENT ON COLUMN features.image_grids.channels IS 'Features per place, such as 2,048 of ResNet-50. | known_at: before_post';
COMMENT ON COLUMN features.image_grids.height IS 'Rows of places, from top to bottom of the cropped image, such as 7. | known_at: before_post';
COMMENT ON COLUMN features.image_grids.width IS 'Places per row, from left to right, such as 7. | known_at: before_post';
COMMENT ON COLUMN features.image_grids.grid IS 'channels x height x width numbers of 16 bits (IEEE half, little-endian), the width running fastest: numpy.frombuffer(grid, numpy.float16). | known_at: before_post';

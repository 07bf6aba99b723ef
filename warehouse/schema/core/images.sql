CREATE TABLE IF NOT EXISTS core.images (
    image_sha256 VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    phash VARCHAR NOT NULL,
    dhash VARCHAR NOT NULL,
    stored_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE core.images IS 'Stored images, one row per content. Key: (image_sha256).';
COMMENT ON COLUMN core.images.image_sha256 IS 'SHA-256 of the bytes as downloaded, hexadecimal.';
COMMENT ON COLUMN core.images.path IS 'Path of the file below the image store of the home directory.';
COMMENT ON COLUMN core.images.format IS 'JPEG, PNG, WEBP or GIF, by the bytes.';
COMMENT ON COLUMN core.images.bytes IS 'Size of the file (bytes).';
COMMENT ON COLUMN core.images.width IS 'Width after EXIF rotation (pixels).';
COMMENT ON COLUMN core.images.height IS 'Height after EXIF rotation (pixels).';
COMMENT ON COLUMN core.images.phash IS '64-bit perceptual hash (DCT), 16 hexadecimal digits.';
COMMENT ON COLUMN core.images.dhash IS '64-bit difference hash, 16 hexadecimal digits.';
COMMENT ON COLUMN core.images.stored_at IS 'When the file was written, by this machine''s clock (UTC).';

CREATE TABLE IF NOT EXISTS core.images (
    image_sha256 VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    phash VARCHAR NOT NULL,
    dhash VARCHAR NOT NULL,
    stored_at TIMESTAMP NOT NULL,
    file_sha256 VARCHAR,
    pixel_sha256 VARCHAR,
    contrast DOUBLE
);
COMMENT ON TABLE core.images IS 'Stored images, one row per content. | key: image_sha256';
COMMENT ON COLUMN core.images.image_sha256 IS 'SHA-256 of the bytes as downloaded, hexadecimal: the identity of the picture.';
COMMENT ON COLUMN core.images.path IS 'Path of the file below the image store of the home directory; pictures that differ in their metadata alone share it.';
COMMENT ON COLUMN core.images.format IS 'JPEG, PNG, WEBP or GIF, by the bytes as downloaded.';
COMMENT ON COLUMN core.images.bytes IS 'Size of the stored file (bytes).';
COMMENT ON COLUMN core.images.width IS 'Width as downloaded, after EXIF rotation (pixels).';
COMMENT ON COLUMN core.images.height IS 'Height as downloaded, after EXIF rotation (pixels).';
COMMENT ON COLUMN core.images.phash IS '64-bit perceptual hash (DCT), 16 hexadecimal digits.';
COMMENT ON COLUMN core.images.dhash IS '64-bit difference hash, 16 hexadecimal digits.';
COMMENT ON COLUMN core.images.stored_at IS 'When the file was written, by this machine''s clock (UTC).';
COMMENT ON COLUMN core.images.file_sha256 IS 'SHA-256 of the stored file (metadata stripped, or resized), which names it; NULL in rows from before files were changed, which are named by image_sha256.';
COMMENT ON COLUMN core.images.pixel_sha256 IS 'SHA-256 of size and RGB pixels as downloaded, after EXIF rotation, hexadecimal; NULL in rows from before it was taken.';
COMMENT ON COLUMN core.images.contrast IS 'Standard deviation of the 32x32 grey version, 0 to 255: below 5 the perceptual hashes say nothing. NULL in rows from before it was taken.';

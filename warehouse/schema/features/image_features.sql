CREATE TABLE IF NOT EXISTS features.image_features (
    image_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    log_aspect_ratio FLOAT NOT NULL,
    log_megapixels FLOAT NOT NULL,
    brightness FLOAT NOT NULL,
    contrast FLOAT NOT NULL,
    saturation FLOAT NOT NULL,
    hue_entropy FLOAT NOT NULL,
    warm_share FLOAT NOT NULL,
    colourfulness FLOAT NOT NULL,
    sharpness FLOAT NOT NULL,
    edge_density FLOAT NOT NULL,
    grey_entropy FLOAT NOT NULL,
    log_shorter_edge FLOAT NOT NULL,
    is_square FLOAT NOT NULL,
    black_share FLOAT NOT NULL,
    white_share FLOAT NOT NULL,
    mid_tone_share FLOAT NOT NULL,
    median_brightness FLOAT NOT NULL,
    text_share FLOAT NOT NULL
);
COMMENT ON TABLE features.image_features IS 'What an image looks like before any network sees it, one row per stored image. | key: image_sha256, code_version';
COMMENT ON COLUMN features.image_features.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_features.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.image_features.log_aspect_ratio IS 'ln(width / height). | known_at: before_post | unit: logarithm';
COMMENT ON COLUMN features.image_features.log_megapixels IS 'ln(width * height / 10^6). | known_at: before_post | unit: logarithm';
COMMENT ON COLUMN features.image_features.brightness IS 'Mean luma, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.contrast IS 'Standard deviation of the luma. | known_at: before_post';
COMMENT ON COLUMN features.image_features.saturation IS 'Mean saturation (HSV), 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.hue_entropy IS 'Entropy of the hues of coloured pixels over 32 bins, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.warm_share IS 'Share of pixels from magenta-red to yellow. | known_at: before_post | unit: share';
COMMENT ON COLUMN features.image_features.colourfulness IS 'M of Hasler & Süsstrunk 2003: 0 grey, 109 extreme. | known_at: before_post | source: Hasler & Süsstrunk 2003';
COMMENT ON COLUMN features.image_features.sharpness IS 'ln(1 + variance of the Laplacian), longest edge 256 pixels. | known_at: before_post | unit: logarithm';
COMMENT ON COLUMN features.image_features.edge_density IS 'Share of pixels with a luma gradient above a tenth of the range. | known_at: before_post | unit: share';
COMMENT ON COLUMN features.image_features.grey_entropy IS 'Entropy of the grey levels (bits), 0 to 8. | known_at: before_post | unit: bits';
COMMENT ON COLUMN features.image_features.log_shorter_edge IS 'ln(shorter edge in pixels) of the image as downloaded. | known_at: before_post | unit: logarithm';
COMMENT ON COLUMN features.image_features.is_square IS '1 if the edges differ by at most 2 %, else 0. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.image_features.black_share IS 'Share of pixels within a twentieth of black (underexposed), 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.white_share IS 'Share of pixels within a twentieth of white (burnt out), 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.mid_tone_share IS 'Share of pixels in the middle half of the grey levels, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.median_brightness IS 'Median luma, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_features.text_share IS 'Share of the picture that lines of words cover, by strokes, letters and rows of them, longest edge 256 pixels, 0 to 1. | known_at: before_post | unit: 0 to 1';

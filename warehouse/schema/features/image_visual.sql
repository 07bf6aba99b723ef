CREATE TABLE IF NOT EXISTS features.image_visual (
    image_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    colour_histogram FLOAT[54] NOT NULL,
    colour_moments FLOAT[9] NOT NULL,
    texture_lbp FLOAT[26] NOT NULL,
    hue_count FLOAT NOT NULL,
    brightness_contrast FLOAT[2] NOT NULL,
    colour_entropy FLOAT NOT NULL,
    composition FLOAT[8] NOT NULL,
    background_simplicity FLOAT NOT NULL,
    gist FLOAT[512] NOT NULL
);
COMMENT ON TABLE features.image_visual IS 'The hand-made description of an image that the visual-social network takes beside its deep features: colour, texture, composition and GIST, one row per stored image. | key: image_sha256, code_version';
COMMENT ON COLUMN features.image_visual.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_visual.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.image_visual.colour_histogram IS '18 bins each of hue (20 degrees wide, red first, only pixels that have a hue), saturation and value, shares of all pixels (HSV histogram). | known_at: before_post | unit: share';
COMMENT ON COLUMN features.image_visual.colour_moments IS 'Mean, standard deviation and cube root of the third central moment of luma, red - green and (red + green) / 2 - blue, channels 0 to 1. | known_at: before_post | source: Stricker & Orengo 1995';
COMMENT ON COLUMN features.image_visual.texture_lbp IS 'Rotation-invariant uniform local binary patterns, 24 points at radius 3: shares of pixels with 0 to 24 brighter points in one run, and of all others. | known_at: before_post | unit: share | source: Ojala et al. 2002';
COMMENT ON COLUMN features.image_visual.hue_count IS 'Hues of 20 that hold more than a twentieth of the fullest one, 0 to 20. | known_at: before_post | unit: 0 to 20 | source: Ke, Tang & Jing 2006';
COMMENT ON COLUMN features.image_visual.brightness_contrast IS 'Width of the middle 98 % of the grey levels, 0 to 1 (Ke, Tang & Jing 2006); ln(mean grey of subject / background), -5.6 to 5.6 (Luo & Tang 2008), 0 without a subject. | known_at: before_post | source: Ke, Tang & Jing 2006; Luo & Tang 2008';
COMMENT ON COLUMN features.image_visual.colour_entropy IS 'Shannon entropy of 4,096 colours divided by ln 4,096, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_visual.composition IS 'Salience and symmetry, 0 to 1: nearness of the centre of salience to a crossing of thirds, share of salience near crossings, symmetry left to right, symmetry top to bottom, centre across, centre down, spread across, spread down. | known_at: before_post | unit: 0 to 1 | source: Hou & Zhang 2007';
COMMENT ON COLUMN features.image_visual.background_simplicity IS '1 - ln(number of frequent colours of the background) / ln 4,096, 0 to 1 (after Luo & Tang 2008). | known_at: before_post | unit: 0 to 1 | source: Luo & Tang 2008';
COMMENT ON COLUMN features.image_visual.gist IS 'GIST of the picture squeezed to 128 x 128: mean strength of 4 scales x 8 orientations in 4 x 4 cells, in the order scale (fine first), orientation (vertical stripes first), row, column; not negative. | known_at: before_post | source: Oliva & Torralba 2001';

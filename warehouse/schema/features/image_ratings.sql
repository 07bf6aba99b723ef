CREATE OR REPLACE VIEW features.image_ratings AS
SELECT
    image_sha256,
    any_value(score) FILTER (scorer = 'iipa') AS intrinsic_popularity,
    any_value(score) FILTER (scorer = 'nima') AS rating,
    any_value(spread) FILTER (scorer = 'nima') AS rating_spread,
    any_value(score) FILTER (scorer = 'aesthetic') AS aesthetic
FROM features.image_scores
GROUP BY image_sha256;
COMMENT ON VIEW features.image_ratings IS 'Scores of trained judges side by side, one row per image that any of them has seen. | key: image_sha256';
COMMENT ON COLUMN features.image_ratings.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_ratings.intrinsic_popularity IS 'Logit of IIPA, unbounded; NULL without its weights. | known_at: before_post | source: Ding et al. 2019';
COMMENT ON COLUMN features.image_ratings.rating IS 'Mean rating that NIMA expects, 1 to 10; NULL without its weights. | known_at: before_post | unit: 1 to 10 | source: Talebi & Milanfar 2018';
COMMENT ON COLUMN features.image_ratings.rating_spread IS 'Standard deviation of those ratings, 0 to 4.5; NULL likewise. | known_at: before_post | unit: 0 to 4.5';
COMMENT ON COLUMN features.image_ratings.aesthetic IS 'Rating of an aesthetics head on CLIP vectors, about 1 to 10; NULL without its weights. | known_at: before_post | unit: 1 to 10';

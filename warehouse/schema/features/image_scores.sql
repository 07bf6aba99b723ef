CREATE TABLE IF NOT EXISTS features.image_scores (
    image_sha256 VARCHAR NOT NULL,
    scorer VARCHAR NOT NULL,
    weights VARCHAR NOT NULL,
    weights_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    score FLOAT NOT NULL,
    spread FLOAT NOT NULL
);
COMMENT ON TABLE features.image_scores IS 'Scores that trained judges give an image, on their own scales; percentiles are made where they are read. | key: image_sha256, scorer, weights_sha256, code_version';
COMMENT ON COLUMN features.image_scores.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_scores.scorer IS 'Who judged: iipa (intrinsic popularity, Ding et al. 2019), nima (ratings of photographs, Talebi & Milanfar 2018) or aesthetic (a head on CLIP vectors). | known_at: before_post';
COMMENT ON COLUMN features.image_scores.weights IS 'Where its weights came from: path or random (untrained, for tests). | known_at: before_post';
COMMENT ON COLUMN features.image_scores.weights_sha256 IS 'SHA-256 over the names and bytes of all tensors, those of the encoder below a head included. | known_at: before_post';
COMMENT ON COLUMN features.image_scores.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.image_scores.score IS 'Raw score, higher is better liked: iipa an unbounded logit, nima the mean expected rating (1 to 10), aesthetic a rating of about 1 to 10. | known_at: before_post';
COMMENT ON COLUMN features.image_scores.spread IS 'Standard deviation of the ratings that nima expects (0 to 4.5); 0 from iipa and aesthetic, which give a number only. | known_at: before_post | unit: 0 to 4.5';

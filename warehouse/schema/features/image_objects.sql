CREATE TABLE IF NOT EXISTS features.image_objects (
    image_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    families FLOAT[118] NOT NULL,
    top_classes INTEGER[5] NOT NULL,
    top_probabilities FLOAT[5] NOT NULL,
    peak FLOAT NOT NULL,
    entropy FLOAT NOT NULL
);
COMMENT ON TABLE features.image_objects IS 'What a classifier of ImageNet-1k sees in an image: probabilities of its 1,000 classes, summed over the families of WordNet. | key: image_sha256, encoder, code_version';
COMMENT ON COLUMN features.image_objects.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_objects.encoder IS 'Classifier of ImageNet-1k, named as encoders are, such as timm:tf_efficientnet_lite0/bundled. | known_at: before_post';
COMMENT ON COLUMN features.image_objects.code_version IS 'Version of the code and of the table of families. | known_at: before_post';
COMMENT ON COLUMN features.image_objects.families IS 'Probability of each WordNet family, in the order of redpop_assets/features/data/wordnet_families.csv; families overlap, so they may sum to more than 1 (after Paul et al., #LearnDeeply). | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_objects.top_classes IS 'The five most probable classes, 0 to 999, best first; redpop_assets/features/data/imagenet_classes.csv names them. | known_at: before_post';
COMMENT ON COLUMN features.image_objects.top_probabilities IS 'Their probabilities, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_objects.peak IS 'The largest probability, 0 to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_objects.entropy IS 'Shannon entropy of the 1,000 probabilities over ln 1000: 0 when one class is certain, 1 when all are equally likely. | known_at: before_post | unit: 0 to 1';

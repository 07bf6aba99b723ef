CREATE TABLE IF NOT EXISTS features.image_concepts (
    image_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    anp FLOAT[291] NOT NULL,
    people FLOAT[5] NOT NULL,
    medium FLOAT[10] NOT NULL,
    scene FLOAT[19] NOT NULL,
    style FLOAT[12] NOT NULL,
    quality FLOAT[16] NOT NULL,
    valence FLOAT NOT NULL,
    people_share FLOAT NOT NULL
);
COMMENT ON TABLE features.image_concepts IS 'What CLIP says an image shows, without training: softmax over lists of concepts, one row per stored image. | key: image_sha256, encoder, code_version | source: Radford et al. 2021';
COMMENT ON COLUMN features.image_concepts.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_concepts.encoder IS 'The CLIP whose two halves were compared, such as open_clip:ViT-B-32/laion2b_s34b_b79k. | known_at: before_post';
COMMENT ON COLUMN features.image_concepts.code_version IS 'Version of the code and of the lists of concepts. | known_at: before_post';
COMMENT ON COLUMN features.image_concepts.anp IS 'Probability of each adjective-noun pair, summing to 1, in the order of redpop_assets/encoders/data/sentiment_concepts.csv (in the spirit of SentiBank, Borth et al. 2013). | known_at: before_post | unit: 0 to 1 | source: SentiBank, Borth et al. 2013';
COMMENT ON COLUMN features.image_concepts.people IS 'Probability of nobody, one person, face, group, crowd; sums to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_concepts.medium IS 'Probability of photograph, painting, drawing, digital art, comic, meme, screenshot, text, chart, collage; sums to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_concepts.scene IS 'Probability of landscape, water, forest, sky, space, city, street, building, interior, food, pet, animal, plant, vehicle, sport, event, portrait, object, handmade; sums to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_concepts.style IS 'Probability of daylight, golden hour, night, fog, snow, autumn, black and white, vintage, macro, aerial, long exposure, flash; sums to 1. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_concepts.quality IS 'Probability of each of good, sharp, bright, colorful, high contrast, clean, professional, well composed, simple, natural, beautiful, happy, exciting, calm, funny, scary against its opposite (after CLIP-IQA, Wang et al. 2023). | known_at: before_post | unit: 0 to 1 | source: CLIP-IQA, Wang et al. 2023';
COMMENT ON COLUMN features.image_concepts.valence IS 'Expected valence of the adjective-noun pairs, -1 unpleasant to 1 pleasant; valences were given by hand. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.image_concepts.people_share IS 'Probability that somebody is to be seen: 1 less that of nobody in people. | known_at: before_post | unit: 0 to 1';

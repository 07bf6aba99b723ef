CREATE TABLE IF NOT EXISTS features.retrieved (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    image_encoder VARCHAR NOT NULL,
    caption_encoder VARCHAR NOT NULL,
    level FLOAT NOT NULL,
    image_similarity FLOAT[10] NOT NULL,
    image_standing FLOAT[10] NOT NULL,
    image_days FLOAT[10] NOT NULL,
    image_same_author FLOAT[10] NOT NULL,
    image_picture FLOAT[160] NOT NULL,
    image_caption FLOAT[160] NOT NULL,
    caption_similarity FLOAT[10] NOT NULL,
    caption_standing FLOAT[10] NOT NULL,
    caption_days FLOAT[10] NOT NULL,
    caption_same_author FLOAT[10] NOT NULL,
    caption_picture FLOAT[160] NOT NULL,
    caption_caption FLOAT[160] NOT NULL,
    both_image FLOAT[10] NOT NULL,
    both_caption FLOAT[10] NOT NULL
);
COMMENT ON TABLE features.retrieved IS 'The neighbours of features.neighbours one by one, without their names: how near, how long ago, how they stood and what they were like (after SKAPP, AAAI 2025). | key: post_id, image_encoder, caption_encoder | source: SKAPP, AAAI 2025';
COMMENT ON COLUMN features.retrieved.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.retrieved.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.retrieved.image_encoder IS 'Network behind the image vectors, key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.retrieved.caption_encoder IS 'Network or topic model behind the caption vectors. | known_at: before_post';
COMMENT ON COLUMN features.retrieved.level IS 'Level of the community: mean of the log scores that matured in the 90 days before, else of all that had matured; 0 without any. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.retrieved.image_similarity IS 'Cosine similarity by picture to each of the 10 nearest by picture, the nearest first; 0 where there is none. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.retrieved.image_standing IS 'Log score of each, less the level of the community when it was made; 0 without. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.retrieved.image_days IS 'Days since each was posted, never 0; 0 where there is none. | known_at: before_post | unit: days';
COMMENT ON COLUMN features.retrieved.image_same_author IS '1 for each that is by the author of the post. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.retrieved.image_picture IS 'Sketches of the picture vectors of the nearest by picture: 16 sums of components with fixed signs for each; 0 without. | known_at: before_post | source: Achlioptas 2003';
COMMENT ON COLUMN features.retrieved.image_caption IS 'Likewise of their caption vectors. | known_at: before_post | source: Achlioptas 2003';
COMMENT ON COLUMN features.retrieved.caption_similarity IS 'Cosine similarity by caption to each of the 10 nearest by caption, the nearest first; 0 where there is none. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.retrieved.caption_standing IS 'Log score of each, less the level of the community when it was made; 0 without. | known_at: before_post | unit: log score';
COMMENT ON COLUMN features.retrieved.caption_days IS 'Days since each was posted, never 0; 0 where there is none. | known_at: before_post | unit: days';
COMMENT ON COLUMN features.retrieved.caption_same_author IS '1 for each that is by the author of the post. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.retrieved.caption_picture IS 'Sketches of the picture vectors of the nearest by caption: 16 sums of components with fixed signs for each; 0 without. | known_at: before_post | source: Achlioptas 2003';
COMMENT ON COLUMN features.retrieved.caption_caption IS 'Likewise of their caption vectors. | known_at: before_post | source: Achlioptas 2003';
COMMENT ON COLUMN features.retrieved.both_image IS 'Cosine similarity by caption to each of the nearest by picture; 0 without. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.retrieved.both_caption IS 'Cosine similarity by picture to each of the nearest by caption; 0 without. | known_at: before_post | unit: -1 to 1';

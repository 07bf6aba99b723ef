CREATE TABLE IF NOT EXISTS features.environments (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    image_encoder VARCHAR NOT NULL,
    caption_encoder VARCHAR NOT NULL,
    level FLOAT NOT NULL,
    posts FLOAT NOT NULL,
    image_mean FLOAT[] NOT NULL USING COMPRESSION uncompressed,
    caption_mean FLOAT[] NOT NULL USING COMPRESSION uncompressed
);
COMMENT ON TABLE features.environments IS 'What the author, or else the community, showed and wrote before the post: mean vectors over strictly earlier posts that have both vectors, the latest 500 (after Zhang et al., dual attention). A post without a picture counts in neither mean. | key: post_id, image_encoder, caption_encoder';
COMMENT ON COLUMN features.environments.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.environments.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.environments.image_encoder IS 'Network behind the image vectors, key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.environments.caption_encoder IS 'Network or topic model behind the caption vectors. | known_at: before_post';
COMMENT ON COLUMN features.environments.level IS 'Whose past it is: 0 the author''s (at least 3 such posts), 1 the community''s, 2 nobody''s. | known_at: before_post | unit: 0 to 2';
COMMENT ON COLUMN features.environments.posts IS 'How many earlier posts the means are over. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.environments.image_mean IS 'Mean image vector; zeros where there is no earlier post. | known_at: before_post';
COMMENT ON COLUMN features.environments.caption_mean IS 'Mean caption vector over the same posts; zeros where there is no earlier post. | known_at: before_post';

CREATE TABLE IF NOT EXISTS marts.image_category_posts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    category INTEGER NOT NULL,
    unpopular BOOLEAN NOT NULL,
    distance DOUBLE NOT NULL,
    picked_out BOOLEAN NOT NULL,
    turn INTEGER,
    figure VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.image_category_posts IS 'The category of each picture of a top or bottom quarter: K-means of the image vectors, repeated on what was not picked out (after Zhang et al., dual attention). Computed on demand by `redpop analyse`. | key: post_id';
COMMENT ON COLUMN marts.image_category_posts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.image_category_posts.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.image_category_posts.category IS 'Number of the category, 1 for the one with the largest share of unpopular pictures.';
COMMENT ON COLUMN marts.image_category_posts.unpopular IS 'Whether the post is in the bottom quarter of its author or community at the time, rather than in the top one.';
COMMENT ON COLUMN marts.image_category_posts.distance IS 'Distance of its vector to the centre of the category.';
COMMENT ON COLUMN marts.image_category_posts.picked_out IS 'Whether the category was picked out, because its share of unpopular pictures is away from one half.';
COMMENT ON COLUMN marts.image_category_posts.turn IS 'The clustering after which it was picked out, from 1; NULL if it was not.';
COMMENT ON COLUMN marts.image_category_posts.figure IS 'Figure that shows the picture, below figures/ of the home directory; NULL if none does.';
COMMENT ON COLUMN marts.image_category_posts.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.image_category_posts.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

CREATE TABLE IF NOT EXISTS models.removal_posts (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    cluster VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    removed BOOLEAN NOT NULL,
    probability DOUBLE,
    digest VARCHAR NOT NULL
);
COMMENT ON TABLE models.removal_posts IS 'The posts that the predictor of removals was made from and is judged by, with what became of them. Deleted posts are not among them. | key: post_id';
COMMENT ON COLUMN models.removal_posts.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN models.removal_posts.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.removal_posts.cluster IS 'Keyed hash of the author name, or the id of the post: what is drawn as a whole for intervals.';
COMMENT ON COLUMN models.removal_posts.split IS 'train, validation, test, or embargo (had not reached the age when the test posts began).';
COMMENT ON COLUMN models.removal_posts.removed IS 'Whether it was down at its first reading from the age on.';
COMMENT ON COLUMN models.removal_posts.probability IS 'Probability that the predictor gave it; NULL for posts that it learnt from.';
COMMENT ON COLUMN models.removal_posts.digest IS 'Digest of the model (models.removal_predictors).';

CREATE TABLE IF NOT EXISTS models.training_set (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    cluster VARCHAR NOT NULL,
    duplicate_group VARCHAR NOT NULL,
    log_score DOUBLE NOT NULL,
    split VARCHAR NOT NULL,
    snapshot VARCHAR NOT NULL,
    label_source VARCHAR,
    age_at_label_hours DOUBLE,
    left_out_posts INTEGER
);
COMMENT ON TABLE models.training_set IS 'The labelled posts and the one split that every predictor of a subreddit shares. | key: post_id';
COMMENT ON COLUMN models.training_set.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN models.training_set.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.training_set.created_at IS 'When the post was made (UTC).';
COMMENT ON COLUMN models.training_set.cluster IS 'Unit of the bootstrap: the author, or the post itself where the author is unknown.';
COMMENT ON COLUMN models.training_set.duplicate_group IS 'Posts of one picture share it: the canonical post of core.duplicates.';
COMMENT ON COLUMN models.training_set.log_score IS 'Target: sign(score) * ln(1 + |score|).';
COMMENT ON COLUMN models.training_set.split IS 'train, validation, test, embargo (label not yet known when the next part begins) or seen_before (the picture is in an earlier part).';
COMMENT ON COLUMN models.training_set.snapshot IS 'Digest of rows, split, features and their versions: equal snapshots train equal models.';
COMMENT ON COLUMN models.training_set.label_source IS 'Where the readings of the label come from, as in core.labels.source. Not learnt from.';
COMMENT ON COLUMN models.training_set.age_at_label_hours IS 'Age of the post at the first of these readings (hours), as in core.labels. Not learnt from.';
COMMENT ON COLUMN models.training_set.left_out_posts IS 'Labelled posts of the subreddit that are not in it, as core.doubtful_labels has them: the same in all of its rows. NULL in sets made before these were counted.';

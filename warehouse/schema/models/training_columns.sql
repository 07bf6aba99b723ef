CREATE TABLE IF NOT EXISTS models.training_columns (
    subreddit VARCHAR NOT NULL,
    block VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    source_table VARCHAR NOT NULL,
    known_at VARCHAR NOT NULL,
    present_rows INTEGER NOT NULL,
    made_from VARCHAR
);
COMMENT ON TABLE models.training_columns IS 'The inputs that the training set offers, and when each is known. | key: subreddit, block, column_name';
COMMENT ON COLUMN models.training_columns.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN models.training_columns.block IS 'image, caption, text, time, author, flags or pixels.';
COMMENT ON COLUMN models.training_columns.column_name IS 'Column of the feature table.';
COMMENT ON COLUMN models.training_columns.source_table IS 'Table it is read from.';
COMMENT ON COLUMN models.training_columns.known_at IS 'before_post or at_post; after_post is refused.';
COMMENT ON COLUMN models.training_columns.present_rows IS 'Labelled posts for which the block is there; 0 for images that are all dead.';
COMMENT ON COLUMN models.training_columns.made_from IS 'Digest of the labels, the features and the settings that the training set was built from, and of what came of it: where it is the same, nothing is built again. The same in all rows of a subreddit; NULL in those made before it was kept.';

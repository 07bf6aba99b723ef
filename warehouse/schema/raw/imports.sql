CREATE TABLE IF NOT EXISTS raw.imports (
    file VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    asked VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    bytes_read BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    records BIGINT NOT NULL,
    posts BIGINT NOT NULL,
    new_posts BIGINT NOT NULL,
    new_observations BIGINT NOT NULL,
    forgotten BIGINT NOT NULL,
    revised_posts BIGINT,
    readings BIGINT,
    unknown_readings BIGINT,
    broken BIGINT NOT NULL,
    other_subreddits BIGINT NOT NULL,
    observed_at TIMESTAMP,
    observed_at_rules VARCHAR[] NOT NULL,
    started_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP
);
COMMENT ON TABLE raw.imports IS 'The last import of each file of posts, for each community it was read for; an interrupted one goes on where it stopped. | key: file, subreddit';
COMMENT ON COLUMN raw.imports.file IS 'Name of the file, as in raw.submissions.origin.';
COMMENT ON COLUMN raw.imports.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.imports.asked IS 'SHA-256, hexadecimal, of what was asked for: the communities of the pass, in order and separated by commas, and what was told of columns.';
COMMENT ON COLUMN raw.imports.bytes IS 'Size of the file (bytes).';
COMMENT ON COLUMN raw.imports.bytes_read IS 'How much of it was read (bytes).';
COMMENT ON COLUMN raw.imports.sha256 IS 'SHA-256 of these first bytes of the file, hexadecimal: of the whole file once it is finished.';
COMMENT ON COLUMN raw.imports.records IS 'Lines of the file, or elements of a JSON document, that were read.';
COMMENT ON COLUMN raw.imports.posts IS 'Posts of the community in them.';
COMMENT ON COLUMN raw.imports.new_posts IS 'Of these, posts that were not known before.';
COMMENT ON COLUMN raw.imports.new_observations IS 'Readings of scores that were not known before.';
COMMENT ON COLUMN raw.imports.forgotten IS 'Posts of the community that were left out because they, or the post they copy, are in raw.tombstones.';
COMMENT ON COLUMN raw.imports.revised_posts IS 'Posts that were known and that the file shows better: with pictures that were not there yet, or standing again. NULL before it was counted.';
COMMENT ON COLUMN raw.imports.readings IS 'Readings of scores beside those of the posts themselves, of posts of the community that are stored. NULL before it was counted.';
COMMENT ON COLUMN raw.imports.unknown_readings IS 'Readings of posts that are not stored, and that are not stored either, of whatever community. NULL before it was counted.';
COMMENT ON COLUMN raw.imports.broken IS 'Lines of the file that are no post and no reading, and readings that cannot be true.';
COMMENT ON COLUMN raw.imports.other_subreddits IS 'Posts of the file that are of none of the communities of the pass.';
COMMENT ON COLUMN raw.imports.observed_at IS 'When the scores were read, as told by whoever imported the file, for rows that do not say so (UTC); NULL if not told.';
COMMENT ON COLUMN raw.imports.observed_at_rules IS 'How it was known when the scores were read: observed_at, age (of the post, at the reading), retrieved_2nd_on, retrieved_on, retrieved_utc, given or newest_post.';
COMMENT ON COLUMN raw.imports.started_at IS 'When the import began, by this machine''s clock (UTC).';
COMMENT ON COLUMN raw.imports.updated_at IS 'When it last wrote anything (UTC).';
COMMENT ON COLUMN raw.imports.finished_at IS 'When it reached the end of the file (UTC); NULL before.';

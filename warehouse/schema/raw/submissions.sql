CREATE TABLE IF NOT EXISTS raw.submissions (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    discovered_at TIMESTAMP NOT NULL,
    origin VARCHAR NOT NULL,
    revised_at TIMESTAMP,
    json JSON NOT NULL
);
COMMENT ON TABLE raw.submissions IS 'The JSON of every post as first seen: the fields that RedPop knows, in their known shapes, with keyed hashes for the accounts that they name; replaced only by a later reading that shows pictures or text which the first one lacked. | key: post_id';
COMMENT ON COLUMN raw.submissions.post_id IS 'Base36 id of the post, without the t3_ prefix.';
COMMENT ON COLUMN raw.submissions.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.submissions.discovered_at IS 'When the post was first seen: the Date of the answer, or the time an archive, Arctic Shift among them, says that it read it (UTC).';
COMMENT ON COLUMN raw.submissions.origin IS 'Who gave the JSON: listing (Reddit), arctic_shift, or archive:<file name>.';
COMMENT ON COLUMN raw.submissions.revised_at IS 'Date of the answer that replaced the JSON (UTC), as when a gallery had not been processed or a removal was undone; NULL while it is as first seen.';
COMMENT ON COLUMN raw.submissions.json IS 'The submission object of the Reddit API, or the row of the archive; redpop_assets/privacy/submissions.py lists the fields.';

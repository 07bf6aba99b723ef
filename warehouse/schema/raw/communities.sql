CREATE TABLE IF NOT EXISTS raw.communities (
    subreddit VARCHAR NOT NULL,
    answer VARCHAR NOT NULL,
    read_at TIMESTAMP NOT NULL,
    json JSON NOT NULL
);
COMMENT ON TABLE raw.communities IS 'What the source said of each community, each time that it was asked: the fields that RedPop knows, in their known shapes, without the accounts that they name. Append-only. | key: subreddit, answer, read_at';
COMMENT ON COLUMN raw.communities.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.communities.answer IS 'about (what it is), rules (those of its moderators, in their order) or post_requirements (what Reddit refuses at once).';
COMMENT ON COLUMN raw.communities.read_at IS 'When the source read it, where it says so, as an archive does; else the time of its answer (UTC).';
COMMENT ON COLUMN raw.communities.json IS 'The answer, under the names of the Reddit API: an object, or a list of rules.';

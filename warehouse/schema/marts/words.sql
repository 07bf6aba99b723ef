CREATE TABLE IF NOT EXISTS marts.words (
    subreddit VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    token VARCHAR NOT NULL,
    posts INTEGER NOT NULL,
    authors INTEGER NOT NULL,
    share DOUBLE NOT NULL,
    lift DOUBLE NOT NULL,
    lift_low DOUBLE NOT NULL,
    lift_high DOUBLE NOT NULL,
    top_posts INTEGER NOT NULL,
    bottom_posts INTEGER NOT NULL,
    difference INTEGER NOT NULL,
    band VARCHAR NOT NULL,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.words IS 'Words, emoji and tags of captions that at least ten posts of five authors have, and how these posts score (after Zhang et al., dual attention). Computed on demand by `redpop analyse`. | key: subreddit, kind, token';
COMMENT ON COLUMN marts.words.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.words.kind IS 'word, emoji or tag.';
COMMENT ON COLUMN marts.words.token IS 'The word in lower case, the emoji, or the tag in square brackets.';
COMMENT ON COLUMN marts.words.posts IS 'Labelled posts whose caption has it.';
COMMENT ON COLUMN marts.words.authors IS 'Their authors.';
COMMENT ON COLUMN marts.words.share IS 'Share of the captions that have it, from 0 to 1.';
COMMENT ON COLUMN marts.words.lift IS 'Mean log score of these posts less that of all labelled posts.';
COMMENT ON COLUMN marts.words.lift_low IS 'Lower end of its 95 % bootstrap interval, clustered by author. Not corrected for the number of tokens.';
COMMENT ON COLUMN marts.words.lift_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.words.top_posts IS 'Posts among them in the top quarter of their author or community at the time.';
COMMENT ON COLUMN marts.words.bottom_posts IS 'Posts among them in the bottom quarter.';
COMMENT ON COLUMN marts.words.difference IS 'The first less the second.';
COMMENT ON COLUMN marts.words.band IS 'positive, neutral or negative by the difference: of words and tags the top quarter, middle half and bottom quarter; of emoji two halves.';
COMMENT ON COLUMN marts.words.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.words.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

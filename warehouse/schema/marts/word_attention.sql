CREATE TABLE IF NOT EXISTS marts.word_attention (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    word VARCHAR NOT NULL,
    weight DOUBLE NOT NULL,
    probability DOUBLE NOT NULL,
    figure VARCHAR,
    snapshot VARCHAR NOT NULL,
    measured_on VARCHAR NOT NULL
);
COMMENT ON TABLE marts.word_attention IS 'What dual_attention looks at: its attention to the words of the three test posts of which it expects most and the three of which it expects least (Zhang et al., figure 5). Computed on demand by `redpop analyse`. | key: post_id, position';
COMMENT ON COLUMN marts.word_attention.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.word_attention.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.word_attention.position IS 'Place of the word in the caption, from 1.';
COMMENT ON COLUMN marts.word_attention.word IS 'The word, emoji or tag.';
COMMENT ON COLUMN marts.word_attention.weight IS 'Attention to it; sums to 1 over the caption.';
COMMENT ON COLUMN marts.word_attention.probability IS 'Probability of the top quarter that the model gives to the post.';
COMMENT ON COLUMN marts.word_attention.figure IS 'Figure that shows the post, below figures/ of the home directory; NULL if none does.';
COMMENT ON COLUMN marts.word_attention.snapshot IS 'Snapshot of models.training_set it was measured on.';
COMMENT ON COLUMN marts.word_attention.measured_on IS 'Digest of all that the row depends on: equal digests need no new measurement.';

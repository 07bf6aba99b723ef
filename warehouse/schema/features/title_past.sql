CREATE TABLE IF NOT EXISTS features.title_past (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    caption_encoder VARCHAR NOT NULL,
    words_known FLOAT NOT NULL,
    words_past_sum FLOAT NOT NULL,
    words_past_mean FLOAT NOT NULL,
    words_past_min FLOAT NOT NULL,
    words_past_max FLOAT NOT NULL,
    pairs_known FLOAT NOT NULL,
    pairs_past_sum FLOAT NOT NULL,
    pairs_past_mean FLOAT NOT NULL,
    pairs_past_min FLOAT NOT NULL,
    pairs_past_max FLOAT NOT NULL,
    title_expected FLOAT NOT NULL,
    title_learnt_from FLOAT NOT NULL
);
COMMENT ON TABLE features.title_past IS 'How titles with the same words, and titles that mean the like, did before in the community: strictly earlier posts, only scores that had matured, each against the level of its time. | key: post_id, caption_encoder';
COMMENT ON COLUMN features.title_past.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.title_past.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.title_past.caption_encoder IS 'Network or topic model behind the caption vectors. | known_at: before_post';
COMMENT ON COLUMN features.title_past.words_known IS 'How many of the different words of the title an earlier post here with a mature score has. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.title_past.words_past_sum IS 'Sum over these of the mean score of the earlier posts with that word, each against the level of its time; m posts weigh m / (m + 20). | known_at: before_post | unit: log score | missing: words_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.words_past_mean IS 'Their mean, one that m earlier posts have weighing 1 / ln(2 + m). | known_at: before_post | unit: log score | missing: words_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.words_past_min IS 'The lowest of them. | known_at: before_post | unit: log score | missing: words_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.words_past_max IS 'The highest of them. | known_at: before_post | unit: log score | missing: words_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.pairs_known IS 'How many of the different pairs of neighbouring words of the title an earlier post here with a mature score has. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.title_past.pairs_past_sum IS 'Sum over these of the mean score of the earlier posts with that pair of neighbouring words, each against the level of its time; m posts weigh m / (m + 10). | known_at: before_post | unit: log score | missing: pairs_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.pairs_past_mean IS 'Their mean, one that m earlier posts have weighing 1 / ln(2 + m). | known_at: before_post | unit: log score | missing: pairs_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.pairs_past_min IS 'The lowest of them. | known_at: before_post | unit: log score | missing: pairs_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.pairs_past_max IS 'The highest of them. | known_at: before_post | unit: log score | missing: pairs_known = 0 | placeholder: 0 = none';
COMMENT ON COLUMN features.title_past.title_expected IS 'Score against the level of the time that a ridge regression on title vectors expects, learnt at the beginning of the week from the posts here that had matured, older ones fading (half after 52 weeks). | known_at: before_post | unit: log score | missing: title_learnt_from = 0 | placeholder: 0 = too few posts, or no vector | source: Dawid 1984 (prequential)';
COMMENT ON COLUMN features.title_past.title_learnt_from IS 'ln(1 + posts that it was learnt from, faded ones in part); 0 where there are fewer than 50. | known_at: before_post | unit: logarithm';

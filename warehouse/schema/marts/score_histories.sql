CREATE OR REPLACE VIEW marts.score_histories AS
SELECT
    o.post_id,
    o.subreddit,
    o.observed_at,
    epoch(o.observed_at - p.created_at) / 3600 AS age_hours,
    o.score,
    o.upvote_ratio,
    o.num_comments,
    -- December 2016: Reddit re-scaled all scores, so a reading from before is no share of a label from after.
    CASE
        WHEN l.score > 0 AND (o.observed_at < TIMESTAMP '2016-12-01') = (l.score_scale = 'before_2016_12')
            THEN o.score / l.score
    END AS share_of_label
FROM raw.observations AS o
JOIN core.posts AS p USING (post_id)
LEFT JOIN core.labels AS l USING (post_id)
WHERE o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE);
COMMENT ON VIEW marts.score_histories IS 'How the score of each post grew: one row per reading, masked ones left out. Scores are fuzzed by about 10, so they also fall without a vote. | key: post_id, observed_at';
COMMENT ON COLUMN marts.score_histories.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.score_histories.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.score_histories.observed_at IS 'Time of the reading (UTC).';
COMMENT ON COLUMN marts.score_histories.age_hours IS 'Age of the post at the reading (hours).';
COMMENT ON COLUMN marts.score_histories.score IS 'Score as shown.';
COMMENT ON COLUMN marts.score_histories.upvote_ratio IS 'Share of upvotes, two digits; NULL where the source has none.';
COMMENT ON COLUMN marts.score_histories.num_comments IS 'Comments at the reading.';
COMMENT ON COLUMN marts.score_histories.share_of_label IS 'Score over the score at the label age; NULL while there is no label, where it is 0, and where it is on another score scale.';

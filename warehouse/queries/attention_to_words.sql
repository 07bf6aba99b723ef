-- To which words of a caption does `dual_attention` pay attention?

-- The test posts of which it is surest, either way; as of the last `redpop analyse`. `even` is what each word would get if
-- all were alike.
SELECT
    a.subreddit,
    a.post_id,
    round(a.probability, 3) AS probability,
    a.position,
    a.word,
    round(a.weight, 3) AS attention,
    round(1 / count(*) OVER (PARTITION BY a.post_id), 3) AS even,
    l.score
FROM marts.word_attention AS a
LEFT JOIN core.labels AS l USING (post_id)
ORDER BY a.subreddit, a.probability DESC, a.post_id, a.position;

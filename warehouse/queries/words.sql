-- Which words, emoji and tags go with a high or a low score beyond chance?

-- `lift` is the mean log score of the posts that have the token less that of all posts. One interval in twenty misses 0 by
-- chance. As of the last `redpop analyse`.
SELECT
    subreddit,
    kind,
    token,
    posts,
    authors,
    round(lift, 3) AS lift,
    round(lift_low, 3) AS lift_low,
    round(lift_high, 3) AS lift_high,
    difference AS top_less_bottom_posts,
    band
FROM marts.words
WHERE lift_low > 0 OR lift_high < 0
ORDER BY subreddit, marts.words.lift DESC, token;

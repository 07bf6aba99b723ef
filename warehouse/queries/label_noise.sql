-- How well do the readings behind one label agree in each subreddit?

-- By the number of readings that the label is the median of, and by its size. One reading says nothing of its noise: of
-- posts that were read only once at the label age, the label is off by what vote_fuzz.sql shows.
SELECT
    subreddit,
    (10 ** floor(log10(greatest(abs(score), 1))))::INTEGER AS score_from,
    readings,
    count(*) AS posts,
    quantile_disc(score_spread, 0.5) AS spread_median,
    quantile_disc(score_spread, 0.9) AS spread_q90,
    max(score_spread) AS spread_max,
    round(median(score_spread / nullif(score, 0)), 4) AS median_spread_over_score
FROM core.labels
WHERE readings IS NOT NULL
GROUP BY ALL
ORDER BY subreddit, score_from, readings;

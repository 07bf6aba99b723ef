-- Which groups of posts does a predictor expect too much or too little of, beyond chance?

-- Groups of the test posts by what was expected of them, least first; log scores. As of the last `redpop analyse`.
SELECT
    subreddit,
    predictor,
    bin,
    posts,
    round(mean_expected, 3) AS mean_expected,
    round(mean_actual, 3) AS mean_actual,
    round(mean_actual_low, 3) AS mean_actual_low,
    round(mean_actual_high, 3) AS mean_actual_high,
    CASE
        WHEN mean_expected < mean_actual_low THEN 'too little'
        WHEN mean_expected > mean_actual_high THEN 'too much'
        WHEN mean_actual_low IS NOT NULL THEN 'calibrated'
    END AS expected
FROM marts.calibration
WHERE mean_expected IS NOT NULL
ORDER BY subreddit, predictor, bin;

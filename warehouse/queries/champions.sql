-- Which predictor speaks for each subreddit, since when, and why not another one?

-- Every judgement, the newest first. The difference is that of mean absolute errors of the log score on the test part,
-- champion minus rival: below 0 the champion is better, and beyond chance if the whole 95 % interval is.
SELECT
    subreddit,
    judged_at,
    coalesce(predictor, 'nobody') AS champion,
    promoted,
    promoted_at,
    replaced,
    reason,
    test_posts,
    round(mae, 3) AS mae,
    round(median_mae, 3) AS median_mae,
    rival,
    round(mae_difference, 3) AS mae_difference,
    round(mae_difference_low, 3) AS mae_difference_low,
    round(mae_difference_high, 3) AS mae_difference_high,
    round(p_value, 3) AS p_value
FROM models.champions
ORDER BY subreddit, judgement DESC;

-- Which ten inputs move each boosted predictor most, and in which direction?

-- Shapley values of the test posts (TreeSHAP): they explain the predictor, not the score. As of the last `redpop analyse`.
SELECT
    subreddit,
    predictor,
    rank,
    block,
    input,
    round(mean_abs, 4) AS mean_size,
    round(share, 3) AS share,
    CASE WHEN direction > 0.3 THEN 'more is better' WHEN direction < -0.3 THEN 'less is better' ELSE 'mixed' END AS direction
FROM marts.shap
WHERE rank <= 10
ORDER BY subreddit, predictor, rank;

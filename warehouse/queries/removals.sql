-- How often are posts taken down by moderators or filters, and can it be foreseen?

SELECT
    p.subreddit,
    p.posts,
    p.removed,
    round(p.base_rate, 3) AS base_rate,
    round(m.pr_auc, 3) AS pr_auc,
    round(m.base_rate, 3) AS pr_auc_of_chance,
    round(m.brier_skill, 3) AS brier_skill,
    round(m.brier_skill_low, 3) AS brier_skill_low,
    round(m.brier_skill_high, 3) AS brier_skill_high,
    p.reason
FROM models.removal_predictors AS p
LEFT JOIN marts.removal_metrics AS m USING (subreddit)
ORDER BY p.subreddit;

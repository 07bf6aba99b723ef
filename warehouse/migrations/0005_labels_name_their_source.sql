-- Every label says by which door its readings came: Reddit's own API or a file, as those that homes have did. What was
-- learnt from them says so, too, without being learnt again.
ALTER TABLE core.labels ADD COLUMN IF NOT EXISTS source VARCHAR;
ALTER TABLE core.labels ADD COLUMN IF NOT EXISTS first_observed_at TIMESTAMP;
UPDATE core.labels AS l SET source = f.source
FROM (
    SELECT
        m.post_id,
        string_agg(
            DISTINCT CASE o.endpoint WHEN 'archive' THEN 'archive' ELSE 'reddit' END, '+'
            ORDER BY CASE o.endpoint WHEN 'archive' THEN 'archive' ELSE 'reddit' END
        ) AS source
    FROM core.labels AS m
    JOIN raw.observations AS o USING (post_id)
    WHERE o.score IS NOT NULL AND NOT coalesce(o.hide_score, FALSE)
        AND o.observed_at BETWEEN coalesce(m.first_observed_at, m.observed_at) AND m.observed_at
    GROUP BY m.post_id
) AS f
WHERE f.post_id = l.post_id;
ALTER TABLE models.training_set ADD COLUMN IF NOT EXISTS label_source VARCHAR;
ALTER TABLE models.training_set ADD COLUMN IF NOT EXISTS age_at_label_hours DOUBLE;
UPDATE models.training_set AS t SET label_source = l.source, age_at_label_hours = l.age_at_label_hours
FROM core.labels AS l WHERE l.post_id = t.post_id;

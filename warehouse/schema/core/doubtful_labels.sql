-- A reading of Reddit itself is as old as it says; only archives may give the first reading for the last one.
CREATE OR REPLACE VIEW core.doubtful_labels AS
SELECT l.post_id, l.subreddit, p.created_at, l.score, l.score_scale, a.first_day, a.last_day
FROM core.anomalies AS a
JOIN core.labels AS l ON l.subreddit = a.subreddit AND l.score_scale = a.score_scale
JOIN core.posts AS p ON p.post_id = l.post_id AND p.created_at::DATE BETWEEN a.first_day AND a.last_day
JOIN raw.observations AS o ON o.post_id = l.post_id AND o.observed_at = coalesce(l.first_observed_at, l.observed_at)
WHERE a.kind = 'first_readings' AND o.endpoint NOT IN ('listing', 'info');
COMMENT ON VIEW core.doubtful_labels IS 'Labels of archives that are likely to be first readings: all of the periods of core.anomalies, high ones and low ones. They are no part of training sets unless REDPOP_LEAVE_OUT_ANOMALIES is off. | key: post_id';
COMMENT ON COLUMN core.doubtful_labels.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN core.doubtful_labels.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN core.doubtful_labels.created_at IS 'When the post was made (UTC).';
COMMENT ON COLUMN core.doubtful_labels.score IS 'The label that is doubted.';
COMMENT ON COLUMN core.doubtful_labels.score_scale IS 'Its scale, as in core.labels.';
COMMENT ON COLUMN core.doubtful_labels.first_day IS 'First day of the period (UTC).';
COMMENT ON COLUMN core.doubtful_labels.last_day IS 'Last day of the period (UTC), included.';

-- Which image hosts fail, and for which reason?

-- `retry` is asked again by a later run, `failed` is final, `gone` was stored until its host removed it.
WITH fetches AS (
    SELECT *, lower(regexp_extract(url, '^https?://([^/:?#]+)', 1)) AS host
    FROM core.image_fetches
),
hosts AS (SELECT host, count(*) AS urls FROM fetches GROUP BY host)
SELECT
    f.host,
    f.status,
    f.reason,
    f.http_status,
    count(*) AS urls,
    round(count(*) / any_value(h.urls), 3) AS share_of_host,
    round(avg(f.attempts), 1) AS mean_attempts,
    max(f.fetched_at) AS last_tried_at
FROM fetches AS f
JOIN hosts AS h USING (host)
WHERE f.status <> 'stored'
GROUP BY ALL
ORDER BY urls DESC, f.host, f.status, f.reason, f.http_status;

-- Dumps with two readings tell the history of a post: what was deleted at the first and stood again at the second counted
-- as removed. Such posts that were imported stand from now on; those that were forgotten are lifted by hand, and imported
-- again. What a second reading found gone without saying by whom is a removal and no deletion.
UPDATE raw.observations AS o SET removed_by_category = NULL
FROM raw.submissions AS s
WHERE s.post_id = o.post_id AND o.endpoint = 'archive' AND o.removed_by_category IS NOT NULL
    AND starts_with(s.origin, 'archive:') AND o.observed_at = s.discovered_at
    AND lower(s.json->>'$._meta.was_initially_deleted') = 'true'
    AND coalesce(lower(s.json->>'$._meta.was_deleted_later'), 'false') <> 'true';
UPDATE raw.observations AS o SET removed_by_category = 'unknown'
FROM raw.submissions AS s
WHERE s.post_id = o.post_id AND o.endpoint = 'archive' AND o.removed_by_category = 'deleted'
    AND starts_with(s.origin, 'archive:') AND o.observed_at = s.discovered_at
    AND lower(s.json->>'$._meta.was_deleted_later') = 'true'
    AND (s.json->>'removed_by_category') IS NULL AND (s.json->>'$._meta.removal_type') IS NULL;

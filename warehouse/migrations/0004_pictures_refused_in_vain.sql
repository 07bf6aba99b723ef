-- Pictures that were given up although browsers show them (metadata that was large or damaged, packed bodies, names of
-- encodings, other kinds of success) are asked for again by the next run.
UPDATE core.image_fetches SET status = 'retry', attempts = 0, next_attempt_at = fetched_at
WHERE status = 'failed' AND (
    reason = 'decode_error'
    OR (reason = 'not_image_bytes' AND (starts_with(detail, 'Encoded as ') OR starts_with(detail, 'The answer is ')))
    OR (reason = 'unexpected_status' AND http_status BETWEEN 200 AND 299)
    OR (reason = 'connection_failed' AND starts_with(detail, 'Client'))
);

-- A check went well. $1: feed id, $2: next check in, $3: etag, $4: last modified,
-- $5: body hash (null keeps the stored one), $6: title, $7: link, $8: format (null keeps all three)
UPDATE feeds SET
    next_check_at = now() + $2,
    checked_at = now(),
    succeeded_at = now(),
    failures = 0,
    failing_since = NULL,
    last_reason = NULL,
    last_error = NULL,
    etag = $3,
    last_modified = $4,
    body_hash = coalesce($5, body_hash),
    title = CASE WHEN $8::text IS NULL THEN title ELSE $6 END,
    link = CASE WHEN $8::text IS NULL THEN link ELSE $7 END,
    format = coalesce($8, format)
WHERE id = $1

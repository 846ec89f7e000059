-- A check went well. $1: feed id, $2: next check in, $3: etag, $4: last modified,
-- $5: body hash (null keeps the stored one), $6: title, $7: link, $8: format, $9: ttl (null for
-- the format keeps all of these), $10: where only permanent redirects led,
-- $11: whether there was something new, $12: skip (as $6 to $9),
-- $13: the origin of $3 and $4 if it is not the feed's
UPDATE feeds SET
    next_check_at = now() + $2,
    checked_at = now(),
    succeeded_at = now(),
    failures = 0,
    failing_since = NULL,
    gone_since = NULL,
    ended_at = NULL,
    posted_at = CASE WHEN $11 THEN now() ELSE posted_at END,
    last_reason = NULL,
    last_error = NULL,
    etag = $3,
    last_modified = $4,
    validators_origin = $13,
    body_hash = coalesce($5, body_hash),
    title = CASE WHEN $8::text IS NULL THEN title ELSE $6 END,
    link = CASE WHEN $8::text IS NULL THEN link ELSE $7 END,
    format = coalesce($8, format),
    ttl = CASE WHEN $8::text IS NULL THEN ttl ELSE $9 END,
    skip = CASE WHEN $8::text IS NULL THEN skip ELSE $12 END,
    moved_to = nullif($10::text, url),
    moved_since = CASE
        WHEN $10 IS NULL OR $10 = url THEN NULL
        WHEN moved_to = $10 THEN moved_since
        ELSE now()
    END,
    moved_seen = CASE
        WHEN $10 IS NULL OR $10 = url THEN 0
        WHEN moved_to = $10 THEN moved_seen + 1
        ELSE 1
    END
WHERE id = $1
RETURNING url, private <> '' AS private, moved_to, moved_seen, now() - moved_since AS moved_for

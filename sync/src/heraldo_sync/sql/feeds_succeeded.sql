-- Checks of many feeds that went well. The feeds are locked in the order of their ids, as
-- everything that locks several feeds does and waits for them.
-- $1: feed ids, each once, and in the same order $2: next check in, $3: etags, $4: last modified,
-- $5: the origins of $3 and $4 where they are not the feeds', $6: body hashes (null keeps the
-- stored one), $7: where only permanent redirects led, $8: whether there was something new,
-- $9: titles, $10: links, $11: formats, $12: ttl, $13: skip (without a format all five stay)
WITH outcomes AS (
    SELECT *
    FROM unnest(
        $1::bigint[], $2::interval[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[],
        $8::boolean[], $9::text[], $10::text[], $11::text[], $12::interval[], $13::integer[]
    ) AS o (
        id, next_check, etag, last_modified, validators_origin, body_hash, leads_to, posted,
        title, link, format, ttl, skip
    )
), held AS MATERIALIZED (
    SELECT id FROM feeds WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE feeds f SET
    next_check_at = now() + o.next_check,
    checked_at = now(),
    succeeded_at = now(),
    failures = 0,
    failing_since = NULL,
    gone_since = NULL,
    ended_at = NULL,
    posted_at = CASE WHEN o.posted THEN now() ELSE f.posted_at END,
    last_reason = NULL,
    last_error = NULL,
    etag = o.etag,
    last_modified = o.last_modified,
    validators_origin = o.validators_origin,
    body_hash = coalesce(o.body_hash, f.body_hash),
    title = CASE WHEN o.format IS NULL THEN f.title ELSE o.title END,
    link = CASE WHEN o.format IS NULL THEN f.link ELSE o.link END,
    format = coalesce(o.format, f.format),
    ttl = CASE WHEN o.format IS NULL THEN f.ttl ELSE o.ttl END,
    skip = CASE WHEN o.format IS NULL THEN f.skip ELSE o.skip END,
    moved_to = nullif(o.leads_to, f.url),
    moved_since = CASE
        WHEN o.leads_to IS NULL OR o.leads_to = f.url THEN NULL
        WHEN f.moved_to = o.leads_to THEN f.moved_since
        ELSE now()
    END,
    moved_seen = CASE
        WHEN o.leads_to IS NULL OR o.leads_to = f.url THEN 0
        WHEN f.moved_to = o.leads_to THEN f.moved_seen + 1
        ELSE 1
    END
FROM held JOIN outcomes o USING (id)
WHERE f.id = held.id
RETURNING
    f.id, f.url, f.private <> '' AS private, f.moved_to, f.moved_seen,
    now() - f.moved_since AS moved_for

-- What a check needs to know of a feed, for many feeds; held: how much longer its host wants to be
-- left alone, delivered: for how long its hub can be counted on. $1: feed ids
SELECT
    f.id, f.url, f.sealed, f.title, f.etag, f.last_modified, f.validators_origin, f.body_hash,
    f.ttl, f.skip, f.failures, f.succeeded_at, f.told_at, now() - f.posted_at AS quiet, i.items,
    h.held_until - now() AS held, CASE WHEN w.trusted THEN w.expires_at - now() END AS delivered,
    now() AS now
FROM feeds f
LEFT JOIN feed_items i ON i.feed_id = f.id
LEFT JOIN websub w ON w.feed_id = f.id
LEFT JOIN host_holds h ON h.held_until > now()
    AND h.host = substring(f.url from '^https?://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)')
WHERE f.id = ANY($1::bigint[])

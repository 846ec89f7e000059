-- What a check needs to know of a feed; held: how much longer its host wants to be left alone.
-- $1: feed id
SELECT
    f.id, f.url, f.sealed, f.title, f.etag, f.last_modified,
    f.validators_origin, f.body_hash, f.ttl, f.failures,
    f.succeeded_at, f.told_at, now() - f.posted_at AS quiet, i.items, h.held_until - now() AS held
FROM feeds f
LEFT JOIN feed_items i ON i.feed_id = f.id
LEFT JOIN host_holds h ON h.held_until > now()
    AND h.host = substring(f.url from '^https?://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)')
WHERE f.id = $1

-- What a check needs to know of a feed. $1: feed id
SELECT
    f.id, f.url, f.title, f.etag, f.last_modified, f.body_hash, f.ttl, f.failures,
    f.succeeded_at, f.told_at, i.items
FROM feeds f
LEFT JOIN feed_items i ON i.feed_id = f.id
WHERE f.id = $1

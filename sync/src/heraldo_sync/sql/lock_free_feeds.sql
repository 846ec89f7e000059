-- lock_feed for many feeds, of which those are left out that somebody else holds just now.
-- $1: feed ids, $2: after how long their entries are to be marked again
SELECT
    f.id, f.succeeded_at, f.told_at, now() - f.posted_at AS quiet,
    f.marked_at < now() - $2::interval AS stale, now() AS now,
    w.hub, w.topic, w.announced, w.try_at = 'infinity' OR w.asked = 'unsubscribe' AS resting,
    CASE WHEN w.trusted THEN w.expires_at - now() END AS delivered
FROM feeds f
LEFT JOIN websub w ON w.feed_id = f.id
WHERE f.id = ANY($1::bigint[])
ORDER BY f.id
FOR NO KEY UPDATE OF f SKIP LOCKED

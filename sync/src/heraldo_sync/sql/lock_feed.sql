-- Serialises everything that adds entries to a feed, so that ids grow in order. delivered: for how
-- long its hub can be counted on; resting: the hub is, or will be, asked to push no more.
-- $1: feed id, $2: after how long its entries are to be marked again
SELECT
    f.succeeded_at, f.told_at, now() - f.posted_at AS quiet,
    f.marked_at < now() - $2::interval AS stale, now() AS now,
    w.hub, w.topic, w.announced, w.try_at = 'infinity' OR w.asked = 'unsubscribe' AS resting,
    CASE WHEN w.trusted THEN w.expires_at - now() END AS delivered
FROM feeds f
LEFT JOIN websub w ON w.feed_id = f.id
WHERE f.id = $1
FOR NO KEY UPDATE OF f

-- Holds private feeds that nobody seems to subscribe to. $1: how many at most
SELECT f.id
FROM feeds f
WHERE f.private <> '' AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.feed_id = f.id)
ORDER BY f.id LIMIT $1
FOR UPDATE SKIP LOCKED

-- A target's subscription to an address, the one to a certain feed first.
-- $1: target id, $2: address, $3: that feed's id (null: none)
SELECT s.id, s.feed_id, f.private <> '' AS private
FROM subscriptions s
JOIN feeds f ON f.id = s.feed_id
WHERE s.target_id = $1 AND f.url = $2
ORDER BY s.feed_id IS DISTINCT FROM $3::bigint, s.id
LIMIT 1

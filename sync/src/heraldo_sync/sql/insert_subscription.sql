-- Subscribes a target to a feed; no row when it is subscribed already.
-- $1: target id, $2: feed id
INSERT INTO subscriptions (target_id, feed_id)
VALUES ($1, $2)
ON CONFLICT (target_id, feed_id) DO NOTHING
RETURNING id

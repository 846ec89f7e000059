-- A feed names a hub that we do not know it by: a new subscription, with a callback and a secret of
-- its own. The old one's callback is gone, which the old hub is told when it pushes.
-- $1: feed id, $2: hub, $3: topic, $4: callback key, $5: secret, $6: time between two requests
INSERT INTO websub (feed_id, hub, topic, key, secret)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (feed_id) DO UPDATE SET
    hub = excluded.hub,
    topic = excluded.topic,
    key = excluded.key,
    secret = excluded.secret,
    announced = true,
    asked = NULL,
    expires_at = NULL,
    trusted = false,
    fruitless = 0,
    try_at = greatest(now(), websub.asked_at + $6::interval)

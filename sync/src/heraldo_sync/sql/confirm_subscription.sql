-- A hub has accepted a subscription that we asked for. $1: callback key, $2: topic,
-- $3: the lease, $4: when to renew it
UPDATE websub SET
    asked = NULL,
    tries = 0,
    expires_at = now() + $3::interval,
    try_at = now() + $4::interval
WHERE key = $1 AND topic = $2 AND asked = 'subscribe'
RETURNING feed_id

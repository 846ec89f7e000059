-- A hub will not push for this topic, whether it did until now or not. $1: callback key, $2: topic,
-- $3: when to ask it again all the same
UPDATE websub SET
    asked = NULL, tries = 0, expires_at = NULL, trusted = false, try_at = now() + $3::interval
WHERE key = $1 AND topic = $2
RETURNING feed_id

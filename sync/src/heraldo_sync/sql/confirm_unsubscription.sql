-- A hub has ended a subscription, as we asked it to. $1: callback key, $2: topic
UPDATE websub SET
    asked = NULL, tries = 0, expires_at = NULL, trusted = false, try_at = 'infinity'
WHERE key = $1 AND topic = $2 AND asked = 'unsubscribe'
RETURNING feed_id

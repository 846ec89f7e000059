-- A message Telegram will not take in any form; the next one goes on.
-- $1: delivery id, $2: reason
UPDATE deliveries SET status = 'set_aside', reason = $2, settled_at = now()
WHERE id = $1 AND status = 'waiting'

-- Telegram has one part of a message. Matches on the parts known to be sent, so that of two
-- workers only one can record. $1: delivery id, $2: parts sent before, $3: message id,
-- $4: whether it was the last part
UPDATE deliveries SET
    parts_sent = parts_sent + 1,
    message_ids = message_ids || $3::bigint,
    status = CASE WHEN $4 THEN 'sent' ELSE status END,
    settled_at = CASE WHEN $4 THEN now() END
WHERE id = $1 AND status = 'waiting' AND parts_sent = $2
RETURNING id

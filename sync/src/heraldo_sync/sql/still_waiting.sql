-- Where a delivery's target is now, if the delivery still waits; no row if it is gone or settled.
-- $1: delivery id
SELECT t.chat_id, t.topic_id, c.kind, c.folds,
    (t.closed_at IS NULL AND c.suspended_at IS NULL) AS open
FROM deliveries d
JOIN targets t ON t.id = d.target_id
JOIN chats c ON c.id = t.chat_id
WHERE d.id = $1 AND d.status = 'waiting'

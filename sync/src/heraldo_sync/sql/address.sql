-- Where a target is, and whether it may be written to. $1: target id
SELECT t.chat_id, t.topic_id, c.kind, c.folds,
    (t.closed_at IS NULL AND c.suspended_at IS NULL) AS open
FROM targets t
JOIN chats c ON c.id = t.chat_id
WHERE t.id = $1

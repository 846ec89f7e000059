-- The end of a delivery task: locks the target against whoever is adding rows for it.
-- See docs/decisions/0003-no-stranded-delivery.md. $1: target id
SELECT (t.closed_at IS NULL AND c.suspended_at IS NULL) AS open
FROM targets t
JOIN chats c ON c.id = t.chat_id
WHERE t.id = $1
FOR NO KEY UPDATE OF t
FOR SHARE OF c

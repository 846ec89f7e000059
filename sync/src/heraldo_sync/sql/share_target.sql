-- Holds a target against a delivery task that is just ending, while a row is added for it.
-- See docs/decisions/0003-no-stranded-delivery.md. $1: target id
SELECT t.id
FROM targets t
JOIN chats c ON c.id = t.chat_id
WHERE t.id = $1
FOR SHARE OF t, c

-- What we know of a chat or topic; the target's id is null when it is new.
-- Index: targets_chat_id_topic_id_key. $1: chat id, $2: topic id
SELECT c.kind, c.title, t.id, t.closed_at IS NOT NULL AS closed
FROM chats c
LEFT JOIN targets t ON t.chat_id = c.id AND t.topic_id = $2
WHERE c.id = $1

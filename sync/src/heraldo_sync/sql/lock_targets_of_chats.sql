-- The targets of two chats of which one becomes the other, in the order in which everybody locks
-- targets: before the chats, by id. Index: targets_chat_id_topic_id_key. $1: chat ids
SELECT id FROM targets WHERE chat_id = ANY($1::bigint[]) ORDER BY id FOR UPDATE

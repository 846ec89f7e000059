-- The chats themselves, after their targets. $1: chat ids
SELECT id FROM chats WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE

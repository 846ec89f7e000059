-- Takes back what we asked; expired questions come back marked, so that they are gone too.
-- $1: chat id, $2: topic id, $3: user id, $4: how long a question stands
DELETE FROM prompts
WHERE chat_id = $1 AND topic_id = $2 AND user_id = $3
RETURNING command, asked_at > now() - $4::interval AS fresh

-- Remembers that we asked this person for an argument.
-- $1: chat id, $2: topic id, $3: user id, $4: command
INSERT INTO prompts (chat_id, topic_id, user_id, command)
VALUES ($1, $2, $3, $4)
ON CONFLICT (chat_id, topic_id, user_id)
DO UPDATE SET command = excluded.command, asked_at = now()

-- Makes the target of a chat or topic, unless somebody was quicker. $1: chat id, $2: topic id
INSERT INTO targets (chat_id, topic_id)
VALUES ($1, $2)
ON CONFLICT (chat_id, topic_id) DO NOTHING

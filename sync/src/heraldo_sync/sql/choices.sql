-- What a message offered. $1: chat id, $2: message id
SELECT target_id, links, sealed FROM choices WHERE chat_id = $1 AND message_id = $2

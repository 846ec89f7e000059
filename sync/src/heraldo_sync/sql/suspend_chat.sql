-- Nothing is sent to this chat until it comes back; everything is kept. $1: chat id, $2: reason
UPDATE chats SET suspended_at = now(), suspended_reason = $2
WHERE id = $1 AND suspended_at IS NULL

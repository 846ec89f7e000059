-- The chat may be written to again. $1: chat id
UPDATE chats SET suspended_at = NULL, suspended_reason = NULL
WHERE id = $1 AND suspended_at IS NOT NULL
RETURNING id

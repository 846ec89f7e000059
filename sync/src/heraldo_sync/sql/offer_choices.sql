-- Keeps what a page offered, for the buttons under a message.
-- $1: chat id, $2: message id, $3: target id, $4: JSON array of links, $5: private headers, sealed
INSERT INTO choices (chat_id, message_id, target_id, links, sealed)
VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (chat_id, message_id)
DO UPDATE SET target_id = excluded.target_id, links = excluded.links, sealed = excluded.sealed,
    offered_at = now()

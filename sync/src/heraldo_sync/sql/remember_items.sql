-- Keeps what was packed of a feed's items; nothing is written when it is the same as before.
-- $1: feed id, $2: what was packed
INSERT INTO feed_items (feed_id, items)
VALUES ($1, $2)
ON CONFLICT (feed_id) DO UPDATE SET items = excluded.items
WHERE feed_items.items <> excluded.items

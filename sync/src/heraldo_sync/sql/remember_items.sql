-- Keeps what was packed of feeds' items; nothing is written where it is the same as before.
-- In the same order $1: feed ids, each once, $2: what was packed
INSERT INTO feed_items (feed_id, items)
SELECT * FROM unnest($1::bigint[], $2::bytea[])
ON CONFLICT (feed_id) DO UPDATE SET items = excluded.items
WHERE feed_items.items <> excluded.items

-- A feed's latest entries, as far as it matters for recognising them. Index: entries_newest.
-- $1: feed id, $2: how many
SELECT id, key, link, title, content, published_at, updated_at
FROM entries WHERE feed_id = $1 ORDER BY id DESC LIMIT $2

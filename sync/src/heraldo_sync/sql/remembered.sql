-- The feed's entries that have one of these keys, or one of these likenesses.
-- Indexes: entries_key, entries_likeness. $1: feed id, $2: keys, $3: likenesses
SELECT id, key, link, title, content, published_at, updated_at
FROM entries WHERE feed_id = $1 AND key = ANY($2::bytea[])
UNION ALL
SELECT id, key, link, title, content, published_at, updated_at
FROM entries WHERE feed_id = $1 AND likeness = ANY($3::bigint[]) AND key <> ALL($2::bytea[])

-- The feeds' entries that have one of these keys, or one of these likenesses; one that has both
-- comes twice. Each is looked up by itself (OFFSET), so that no plan reads all entries.
-- Indexes: entries_key, entries_likeness.
-- In the same order $1: feed ids, $2: keys; and again $3: feed ids, $4: likenesses
SELECT e.*
FROM unnest($1::bigint[], $2::bytea[]) AS k (feed_id, key)
CROSS JOIN LATERAL (
    SELECT id, feed_id, key, link, title, content, published_at, updated_at
    FROM entries WHERE feed_id = k.feed_id AND key = k.key OFFSET 0
) e
UNION ALL
SELECT e.*
FROM unnest($3::bigint[], $4::bigint[]) AS l (feed_id, likeness)
CROSS JOIN LATERAL (
    SELECT id, feed_id, key, link, title, content, published_at, updated_at
    FROM entries WHERE feed_id = l.feed_id AND likeness = l.likeness OFFSET 0
) e

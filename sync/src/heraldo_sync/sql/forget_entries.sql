-- Forgets entries that their feed has not shown for very long, but never its latest ones.
-- $1: feed ids, $2: how long they must have been gone, $3: how many of a feed stay,
-- $4: how many at most
DELETE FROM entries WHERE id IN (
    SELECT e.id
    FROM feeds f
    JOIN entries e ON e.feed_id = f.id AND e.shown_at < f.marked_at - $2::interval
    WHERE f.id = ANY($1::bigint[])
        AND e.id <= (
            SELECT n.id FROM entries n WHERE n.feed_id = f.id ORDER BY n.id DESC OFFSET $3 LIMIT 1
        )
        AND NOT EXISTS (
            SELECT FROM deliveries d WHERE d.entry_id = e.id AND d.status IN ('waiting', 'held')
        )
    LIMIT $4
)
RETURNING id

-- Empties entries that their feed shows no more and nobody waits for, but for each feed's newest,
-- which a new subscriber gets. What they are recognised by stays.
-- $1: feed ids, $2: how long they must have been gone, $3: how many at most
UPDATE entries SET html = '', author = NULL, enclosures = '[]', categories = '{}'
WHERE id IN (
    SELECT e.id
    FROM feeds f
    JOIN entries e ON e.feed_id = f.id AND e.shown_at < f.marked_at - $2::interval
    WHERE f.id = ANY($1::bigint[])
        AND (e.html <> '' OR e.author IS NOT NULL OR e.enclosures <> '[]' OR e.categories <> '{}')
        AND e.id < (SELECT max(n.id) FROM entries n WHERE n.feed_id = f.id)
        AND NOT EXISTS (
            SELECT FROM deliveries d WHERE d.entry_id = e.id AND d.status IN ('waiting', 'held')
        )
    LIMIT $3
)
RETURNING id

-- Drops what was settled long ago from one page of deliveries; returns the page's last id, null
-- when the page is empty or all of it is too young. $1: after this id, $2: how many,
-- $3: how long ago
WITH page AS (
    SELECT id, status, created_at, settled_at FROM deliveries WHERE id > $1 ORDER BY id LIMIT $2
), gone AS (
    DELETE FROM deliveries d USING page
    WHERE d.id = page.id AND page.status NOT IN ('waiting', 'held')
        AND page.settled_at < now() - $3::interval
)
SELECT CASE WHEN min(created_at) < now() - $3::interval THEN max(id) END AS last FROM page

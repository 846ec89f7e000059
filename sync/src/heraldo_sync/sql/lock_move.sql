-- A feed that may have moved, and the feed that is at its new address if there is one; both held,
-- the older first. $1: feed id, $2: the new address
SELECT id, url, moved_to, moved_seen, now() - moved_since AS moved_for
FROM feeds
WHERE id = $1 OR url = $2
ORDER BY id
FOR UPDATE

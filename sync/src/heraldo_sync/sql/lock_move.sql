-- A feed that may have moved, and the feed that is at its new address if there is one, with the
-- same private headers or with none as well; both held, the older first.
-- $1: feed id, $2: the new address
SELECT id, url, private <> '' AS private, moved_to, moved_seen, now() - moved_since AS moved_for
FROM feeds
WHERE id = $1 OR (url = $2 AND private = (SELECT f.private FROM feeds f WHERE f.id = $1))
ORDER BY id
FOR UPDATE

-- Links that are too long ago to fold anything into. $1: how long ago, $2: how many at most
DELETE FROM known_links
WHERE (target_id, link) IN (
    SELECT target_id, link FROM known_links WHERE sent_at < now() - $1::interval LIMIT $2
)
RETURNING target_id

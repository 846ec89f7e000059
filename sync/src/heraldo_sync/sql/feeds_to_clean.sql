-- Feeds that were marked since they were cleaned, which alone can make something old.
-- $1: after this id, $2: how many at most
SELECT id FROM feeds
WHERE id > $1 AND (cleaned_at IS NULL OR cleaned_at <= marked_at)
ORDER BY id LIMIT $2

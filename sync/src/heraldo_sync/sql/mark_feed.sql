-- The feed's entries have been marked. $1: feed id
UPDATE feeds SET marked_at = now() WHERE id = $1

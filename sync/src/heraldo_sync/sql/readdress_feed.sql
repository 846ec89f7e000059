-- The feed is at another address from now on. $1: feed id, $2: the new address
UPDATE feeds SET url = $2, moved_to = NULL, moved_since = NULL, moved_seen = 0 WHERE id = $1

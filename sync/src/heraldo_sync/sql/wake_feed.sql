-- The feed is checked at once, also one that rested. $1: feed id
UPDATE feeds SET next_check_at = now(), ended_at = NULL WHERE id = $1

-- The feed's subscribers know that it fails. $1: feed id
UPDATE feeds SET told_at = now() WHERE id = $1

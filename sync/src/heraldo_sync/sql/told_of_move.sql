-- The feed's subscribers know where it says it is now; a row if they did not before. $1: feed id
UPDATE feeds SET moved_told = moved_to
WHERE id = $1 AND moved_told IS DISTINCT FROM moved_to
RETURNING id

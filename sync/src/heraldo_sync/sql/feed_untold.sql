-- It works again; a row if its subscribers were told that it fails. $1: feed id
UPDATE feeds SET told_at = NULL WHERE id = $1 AND told_at IS NOT NULL RETURNING id

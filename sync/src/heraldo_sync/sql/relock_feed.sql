-- The same headers under another key, unless they were changed meanwhile.
-- $1: feed id, $2: the headers as they were sealed, $3: as they are now, $4: their fingerprint
UPDATE feeds SET sealed = $3, private = $4 WHERE id = $1 AND sealed = $2

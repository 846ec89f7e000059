-- Nothing is wanted of a feed's hub any more. $1: feed id, $2: callback key
UPDATE websub SET
    asked = NULL, tries = 0, expires_at = NULL, trusted = false, try_at = 'infinity'
WHERE feed_id = $1 AND key = $2

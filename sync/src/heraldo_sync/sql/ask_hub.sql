-- A request to a hub is about to be sent: from now on its confirmation is expected. No row when the
-- feed has another hub by now. $1: feed id, $2: callback key, $3: what is asked,
-- $4: the public address that the callback is at, $5: when to ask again if nothing comes
UPDATE websub SET
    asked = $3,
    asked_at = now(),
    base = $4,
    tries = tries + 1,
    try_at = now() + $5
WHERE feed_id = $1 AND key = $2
RETURNING feed_id

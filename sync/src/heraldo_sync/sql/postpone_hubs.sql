-- These have a task now; should it be lost, they come up again. $1: feed ids, $2: how long from now
UPDATE websub SET try_at = now() + $2 WHERE feed_id = ANY($1::bigint[])

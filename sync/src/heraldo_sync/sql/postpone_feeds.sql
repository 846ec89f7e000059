-- Moves the next check of feeds that were just queued: the sync task will set the real time,
-- and should it be lost, the feed comes up again.
-- $1: feed ids, $2: how long from now
UPDATE feeds SET next_check_at = now() + $2 WHERE id = ANY($1::bigint[])

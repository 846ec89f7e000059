-- Moves the next check of feeds that could not be checked for reasons of our own.
-- $1: feed ids, $2: how long from now
UPDATE feeds SET next_check_at = now() + $2 WHERE id = ANY($1::bigint[])

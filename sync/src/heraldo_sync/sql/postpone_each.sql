-- Moves the next check of feeds that were just queued, each by its own time.
-- The ids are there twice so that the feeds are found by the index, however many there are.
-- $1: feed ids, $2: how long from now
UPDATE feeds f SET next_check_at = now() + given.wait
FROM unnest($1::bigint[], $2::interval[]) AS given (id, wait)
WHERE f.id = given.id AND f.id = ANY($1::bigint[])

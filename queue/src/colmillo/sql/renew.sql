-- Extends a living lease. The clock is read when the row is, so that a renewal which waited
-- for a rescue cannot revive what the rescue ended. Index: workers_pkey.
-- $1 worker, $2 lease in seconds.
UPDATE {schema}.workers
SET expires_at = clock_timestamp() + make_interval(secs => $2::double precision)
WHERE id = $1::uuid AND expires_at > clock_timestamp()
RETURNING id

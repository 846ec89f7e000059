-- Starts (or starts anew) the lease of a worker. Index: workers_pkey.
-- $1 worker, $2 name, $3 lease in seconds.
INSERT INTO {schema}.workers (id, name, started_at, expires_at)
VALUES (
    $1::uuid, $2::text, clock_timestamp(),
    clock_timestamp() + make_interval(secs => $3::double precision)
)
ON CONFLICT (id) DO UPDATE
SET name = excluded.name, started_at = excluded.started_at, expires_at = excluded.expires_at

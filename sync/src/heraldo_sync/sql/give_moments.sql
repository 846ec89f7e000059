-- Gives the next free moments of busy hosts to checks; answers how long until the one after them.
-- Makes a host busy that was not. Index: busy_hosts_pkey.
-- $1: hosts, in order, so that two ticks lock them in the same; $2: how many checks of each,
-- $3: time between two
INSERT INTO busy_hosts AS b (host, free_at)
SELECT host, now() + checks * $3::interval
FROM unnest($1::text[], $2::integer[]) AS asked (host, checks)
ON CONFLICT (host) DO UPDATE
SET free_at = greatest(b.free_at, now()) + (excluded.free_at - now())
RETURNING host, free_at - now() AS until

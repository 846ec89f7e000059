-- In how long busy hosts have a moment that was given to no check, locked until the next ones are
-- given. Makes a host busy that was not. Index: busy_hosts_pkey.
-- $1: hosts, in order, so that two ticks lock them in the same
INSERT INTO busy_hosts AS b (host, free_at)
SELECT host, now() FROM unnest($1::text[]) AS asked (host)
ON CONFLICT (host) DO UPDATE SET free_at = greatest(b.free_at, now())
RETURNING host, free_at - now() AS free

-- The moments of busy hosts are given up to here. They are locked (see free_moments).
-- Index: busy_hosts_pkey. $1: hosts, $2: until the first moment that is free now
UPDATE busy_hosts b SET free_at = now() + given.free
FROM unnest($1::text[], $2::interval[]) AS given (host, free)
WHERE b.host = given.host AND b.host = ANY($1::text[])

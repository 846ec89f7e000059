-- The feeds whose time comes soon, oldest due first, locked so that two ticks share them out, and
-- in how long; busy: their host is known to have many. Index: feeds_due, busy_hosts_pkey. Feeds
-- nobody subscribes to wait at infinity and are never met here.
-- $1: how many at most, $2: how far to look ahead
SELECT
    f.id, f.host, greatest(f.next_check_at - now(), interval '0') AS wait,
    EXISTS (SELECT FROM busy_hosts b WHERE b.host = f.host) AS busy
FROM (
    SELECT
        id, next_check_at,
        substring(url FROM '^https?://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)') AS host
    FROM feeds
    WHERE next_check_at <= now() + $2::interval
    ORDER BY next_check_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) f

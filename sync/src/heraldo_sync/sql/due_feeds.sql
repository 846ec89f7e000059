-- The feeds whose time has come, oldest due first, locked so that two ticks share them out; busy:
-- their host is known to have many. Index: feeds_due, busy_hosts_pkey. Feeds nobody subscribes to
-- wait at infinity and are never met here.
-- $1: how many at most, $2: how far to look ahead, so that a check that took a moment does not
-- miss the very next tick
SELECT f.id, f.host, EXISTS (SELECT FROM busy_hosts b WHERE b.host = f.host) AS busy
FROM (
    SELECT id, substring(url FROM '^https?://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)') AS host
    FROM feeds
    WHERE next_check_at <= now() + $2::interval
    ORDER BY next_check_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) f

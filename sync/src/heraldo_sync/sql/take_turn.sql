-- Takes the next turn to ask a feed's host, unless it is further away than the caller will wait;
-- answers how long that is, and whether the turn was taken. Nothing if the host is not busy.
-- $1: feed id, $2: time between two requests, $3: the longest wait accepted
WITH asked AS (
    SELECT substring(url FROM '^https?://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)') AS host
    FROM feeds WHERE id = $1
), taken AS (
    UPDATE busy_hosts b
    SET asked_at = greatest(b.asked_at + $2::interval, clock_timestamp())
    FROM asked
    WHERE b.host = asked.host AND b.asked_at + $2 <= clock_timestamp() + $3::interval
    RETURNING b.asked_at
)
SELECT
    greatest(
        coalesce((SELECT asked_at FROM taken), b.asked_at + $2) - clock_timestamp(), interval '0'
    ) AS wait,
    EXISTS (SELECT FROM taken) AS taken
FROM asked
JOIN busy_hosts b ON b.host = asked.host

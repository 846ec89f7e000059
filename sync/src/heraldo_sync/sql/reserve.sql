-- Takes the next free moment of a chat (0: of Telegram at all), unless it is further away than
-- the caller will wait; answers how long to wait from now, and whether the moment was taken.
-- $1: chat id, $2: time between two messages, $3: the longest wait accepted
WITH current AS (
    SELECT clock_timestamp() AS at
), taken AS (
    INSERT INTO pace AS p (chat_id, free_at)
    SELECT $1, current.at + $2::interval FROM current
    ON CONFLICT (chat_id) DO UPDATE
    SET free_at = greatest(p.free_at, clock_timestamp()) + $2::interval
    WHERE p.free_at <= clock_timestamp() + $3::interval
    RETURNING free_at - $2::interval AS at
)
SELECT
    greatest(coalesce((SELECT at FROM taken), p.free_at, current.at) - clock_timestamp(), interval '0') AS wait,
    EXISTS (SELECT FROM taken) AS taken
FROM current
LEFT JOIN pace p ON p.chat_id = $1

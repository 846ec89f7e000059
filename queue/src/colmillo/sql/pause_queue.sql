-- Pauses a queue, or resumes it; no row comes back when it was so already. Index: queues_pkey.
-- $1 queue, $2 whether to pause.
WITH resumed AS (
    DELETE FROM {schema}.queues
    WHERE queue = $1::text AND NOT $2::boolean
    RETURNING queue
),
paused AS (
    INSERT INTO {schema}.queues (queue, paused_at)
    SELECT $1::text, clock_timestamp()
    WHERE $2::boolean
    ON CONFLICT (queue) DO NOTHING
    RETURNING queue
)
SELECT queue FROM resumed
UNION ALL
SELECT queue FROM paused

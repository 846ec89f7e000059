-- Pauses a queue, or resumes it; no row comes back when it was so already. Index: queues_pkey.
-- $1 queue, $2 whether to pause.
WITH resumed AS (
    UPDATE {schema}.queues
    SET paused_at = NULL
    WHERE queue = $1::text AND NOT $2::boolean AND paused_at IS NOT NULL
    RETURNING queue
),
paused AS (
    INSERT INTO {schema}.queues AS known (queue, paused_at)
    SELECT $1::text, clock_timestamp()
    WHERE $2::boolean
    ON CONFLICT (queue) DO UPDATE SET paused_at = excluded.paused_at
    WHERE known.paused_at IS NULL
    RETURNING queue
)
SELECT queue FROM resumed
UNION ALL
SELECT queue FROM paused

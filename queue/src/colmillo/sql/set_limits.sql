-- Sets a queue's limits, each null for none, and wakes its workers. The slots are there with the
-- limit; what runs above a lower one keeps its own until it ends. A new bucket is full.
-- Index: queues_pkey, slots_pkey, buckets_pkey.
-- $1 queue, $2 running, $3 running per key, $4 tasks and $5 seconds of the rate, $6 burst,
-- $7 channel (null wakes nobody).
WITH told AS (
    INSERT INTO {schema}.queues (
        queue, running, running_per_key, rate_tasks, rate_seconds, burst
    )
    VALUES ($1::text, $2::integer, $3::integer, $4::integer, $5::double precision, $6::integer)
    ON CONFLICT (queue) DO UPDATE
    SET
        running = excluded.running,
        running_per_key = excluded.running_per_key,
        rate_tasks = excluded.rate_tasks,
        rate_seconds = excluded.rate_seconds,
        burst = excluded.burst
    RETURNING queue
),
added AS (
    INSERT INTO {schema}.slots (queue, slot)
    SELECT told.queue, number
    FROM told
    CROSS JOIN generate_series(1, $2::integer) AS number
    ORDER BY number
    ON CONFLICT (queue, slot) DO NOTHING
),
dropped AS (
    DELETE FROM {schema}.slots AS own
    USING told
    WHERE own.queue = told.queue AND own.slot > coalesce($2::integer, 0) AND own.task IS NULL
),
filled AS (
    INSERT INTO {schema}.buckets AS own (queue, tokens, refilled_at)
    SELECT told.queue, $6::integer, statement_timestamp()
    FROM told
    WHERE $4::integer IS NOT NULL
    ON CONFLICT (queue) DO UPDATE SET tokens = least(own.tokens, excluded.tokens)
),
emptied AS (
    DELETE FROM {schema}.buckets AS own
    USING told
    WHERE own.queue = told.queue AND $4::integer IS NULL
)
SELECT count(pg_notify($7::text, told.queue)) AS notified
FROM told
WHERE $7::text IS NOT NULL

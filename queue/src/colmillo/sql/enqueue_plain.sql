-- Adds tasks without a unique hash, all of them, and wakes the listeners of their queues.
-- Ids grow in the order of the input. A channel of null wakes nobody.
-- $1 queues, $2 names, $3 payloads, $4 priorities, $5 max_attempts, $6 run_at, $7 delays in
-- seconds, $8 concurrency keys, $9 channel.
WITH inserted AS (
    INSERT INTO {schema}.tasks (
        queue, name, payload, priority, max_attempts, run_at, enqueued_at, concurrency_key
    )
    SELECT
        input.queue, input.name, input.payload, input.priority, input.max_attempts,
        coalesce(
            input.run_at,
            statement_timestamp() + make_interval(secs => coalesce(input.delay, 0))
        ),
        statement_timestamp(),
        input.concurrency_key
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::timestamptz[],
        $7::double precision[], $8::text[]
    ) AS input (
        queue, name, payload, priority, max_attempts, run_at, delay, concurrency_key
    )
    RETURNING id, queue
)
SELECT
    inserted.id,
    (
        SELECT count(pg_notify($9::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM inserted WHERE $9::text IS NOT NULL) AS fresh
    ) AS notified
FROM inserted
ORDER BY inserted.id

-- Adds tasks of which some have a unique hash (each hash once per call) and wakes the listeners
-- of the queues that got something. Index: tasks_unique. Answers in the input's order with
-- the id (null: this statement's snapshot does not see the holder, ask again) and whether it
-- was inserted.
-- Rows go in by hash, so that two calls with the same hashes never wait for each other in a ring.
-- $1 queues, $2 names, $3 payloads, $4 priorities, $5 max_attempts, $6 run_at, $7 delays in
-- seconds, $8 unique hashes, $9 channel (null wakes nobody), $10 the sequence of the ids
-- (drawn before the sort, so that they follow the input's order).
WITH input AS MATERIALIZED (
    SELECT
        nextval((SELECT $10::text::regclass)) AS id,
        given.queue, given.name, given.payload, given.priority, given.max_attempts,
        coalesce(
            given.run_at,
            statement_timestamp() + make_interval(secs => coalesce(given.delay, 0))
        ) AS run_at,
        given.unique_hash,
        given.position
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::timestamptz[],
        $7::double precision[], $8::bytea[]
    ) WITH ORDINALITY AS given (
        queue, name, payload, priority, max_attempts, run_at, delay, unique_hash, position
    )
),
inserted AS (
    INSERT INTO {schema}.tasks (
        id, queue, name, payload, priority, max_attempts, run_at, enqueued_at, unique_hash
    )
    SELECT
        input.id, input.queue, input.name, input.payload, input.priority, input.max_attempts,
        input.run_at, statement_timestamp(), input.unique_hash
    FROM input
    ORDER BY input.unique_hash, input.position
    ON CONFLICT (unique_hash) WHERE unique_hash IS NOT NULL DO NOTHING
    RETURNING id, queue
)
SELECT
    coalesce(inserted.id, holder.id) AS id,
    inserted.id IS NOT NULL AS inserted,
    (
        SELECT count(pg_notify($9::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM inserted WHERE $9::text IS NOT NULL) AS fresh
    ) AS notified
FROM input
LEFT JOIN inserted ON inserted.id = input.id
LEFT JOIN {schema}.tasks AS holder
    ON holder.unique_hash = input.unique_hash AND inserted.id IS NULL
ORDER BY input.position

-- Adds tasks of which some have a unique hash (each hash once per call) and wakes the listeners
-- of the queues that got something. Index: tasks_unique. Answers in the input's order with
-- the id (null: this statement's snapshot does not see the holder, ask again) and what
-- happened: inserted or existing.
-- Rows go in by hash, so that two calls with the same hashes never wait for each other in a ring.
-- The hash that is held has the number of the period in it, on this server's clock; one that
-- the first claim releases is a byte longer than others.
-- $1 queues, $2 names, $3 payloads, $4 priorities, $5 max_attempts, $6 run_at, $7 delays in
-- seconds, $8 concurrency keys, $9 unique hashes, $10 periods in microseconds, $11 states,
-- $12 channel (null wakes nobody), $13 the sequence of the ids (drawn before the sort, so that
-- they follow the input's order).
WITH input AS MATERIALIZED (
    SELECT
        nextval((SELECT $13::text::regclass)) AS id,
        given.queue, given.name, given.payload, given.priority, given.max_attempts,
        given.concurrency_key,
        coalesce(
            given.run_at,
            statement_timestamp() + make_interval(secs => coalesce(given.delay, 0))
        ) AS run_at,
        CASE
            WHEN given.period IS NULL THEN given.unique_hash
            ELSE sha256(
                given.unique_hash
                || int8send(
                    (extract(EPOCH FROM statement_timestamp()) * 1000000)::bigint / given.period
                )
                || convert_to(given.states, 'UTF8')
            )
        END || CASE WHEN given.states = 'waiting' THEN '\x00'::bytea ELSE ''::bytea END
            AS unique_hash,
        given.position
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::timestamptz[],
        $7::double precision[], $8::text[], $9::bytea[], $10::bigint[], $11::text[]
    ) WITH ORDINALITY AS given (
        queue, name, payload, priority, max_attempts, run_at, delay, concurrency_key, unique_hash,
        period, states, position
    )
),
inserted AS (
    INSERT INTO {schema}.tasks (
        id, queue, name, payload, priority, max_attempts, run_at, enqueued_at, concurrency_key,
        unique_hash
    )
    SELECT
        input.id, input.queue, input.name, input.payload, input.priority, input.max_attempts,
        input.run_at, statement_timestamp(), input.concurrency_key, input.unique_hash
    FROM input
    ORDER BY input.unique_hash, input.position
    ON CONFLICT (unique_hash) WHERE unique_hash IS NOT NULL DO NOTHING
    RETURNING id, queue
)
SELECT
    coalesce(inserted.id, holder.id) AS id,
    CASE WHEN inserted.id IS NULL THEN 'existing' ELSE 'inserted' END AS happened,
    (
        SELECT count(pg_notify($12::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM inserted WHERE $12::text IS NOT NULL) AS fresh
    ) AS notified
FROM input
LEFT JOIN inserted ON inserted.id = input.id
LEFT JOIN {schema}.tasks AS holder
    ON holder.unique_hash = input.unique_hash AND inserted.id IS NULL
ORDER BY input.position

-- As enqueue_unique, for calls with tasks that change the one that is there, or whose hash is
-- held until their period is over. Index: tasks_unique, tasks_pkey, uniques_pkey, uniques_end.
-- Answers in the input's order with the id (null: somebody changed the holder meanwhile, or
-- this statement's snapshot does not see it; ask again) and what happened: inserted, existing,
-- replaced or earlier.
-- Three steps, each by hash, one after the other: hashes of periods, new tasks, locks on waiting
-- holders. So two calls never wait for each other in a ring. A running task is never locked,
-- except one that was claimed while this statement waited for it. A changed task is not parked
-- any more: the next claim sees where it belongs. A task that waits for its parents goes on
-- waiting for them.
-- Hashes whose period was over an hour ago are dropped on the way, up to two for each new one.
-- $1 queues, $2 names, $3 payloads, $4 priorities, $5 max_attempts, $6 run_at, $7 delays in
-- seconds, $8 concurrency keys, $9 unique hashes, $10 periods in microseconds, $11 states,
-- $12 what to do about a duplicate, $13 channel (null wakes nobody), $14 the sequence of the ids
-- (drawn before the sorts, so that they follow the input's order).
WITH given AS (
    SELECT
        *, (extract(EPOCH FROM statement_timestamp()) * 1000000)::bigint / period AS number
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::timestamptz[],
        $7::double precision[], $8::text[], $9::bytea[], $10::bigint[], $11::text[], $12::text[]
    ) WITH ORDINALITY AS task (
        queue, name, payload, priority, max_attempts, run_at, delay, concurrency_key, unique_hash,
        period, states, duplicate, position
    )
),
input AS MATERIALIZED (
    SELECT
        nextval((SELECT $14::text::regclass)) AS id,
        given.queue, given.name, given.payload, given.priority, given.max_attempts,
        given.concurrency_key,
        coalesce(
            given.run_at,
            statement_timestamp() + make_interval(secs => coalesce(given.delay, 0))
        ) AS run_at,
        CASE
            WHEN given.number IS NULL THEN given.unique_hash
            ELSE sha256(
                given.unique_hash || int8send(given.number) || convert_to(given.states, 'UTF8')
            )
        END || CASE WHEN given.states = 'waiting' THEN '\x00'::bytea ELSE ''::bytea END
            AS unique_hash,
        given.unique_hash IS NOT NULL AND given.states = 'finished' AS lasting,
        to_timestamp(((given.number + 1) * given.period)::numeric / 1000000) AS period_end,
        given.duplicate,
        given.position
    FROM given
),
remembered AS (
    INSERT INTO {schema}.uniques (unique_hash, task, period_end)
    SELECT input.unique_hash, input.id, input.period_end
    FROM input
    WHERE input.lasting
    ORDER BY input.unique_hash
    ON CONFLICT (unique_hash) DO NOTHING
    RETURNING task
),
forgotten AS (
    DELETE FROM {schema}.uniques
    WHERE
        unique_hash = ANY (ARRAY(
            SELECT old.unique_hash
            FROM {schema}.uniques AS old
            WHERE old.period_end < statement_timestamp() - interval '1 hour'
            ORDER BY old.period_end
            LIMIT (SELECT 2 * count(*) FROM remembered)
            FOR UPDATE SKIP LOCKED
        ))
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
    WHERE NOT input.lasting OR input.id IN (SELECT remembered.task FROM remembered)
    ORDER BY input.unique_hash, input.position
    ON CONFLICT (unique_hash) WHERE unique_hash IS NOT NULL DO NOTHING
    RETURNING id, queue
),
locked AS MATERIALIZED (
    SELECT
        task.id, input.id AS asked, input.duplicate, input.payload, input.priority, input.run_at,
        input.concurrency_key
    FROM input
    JOIN {schema}.tasks AS task ON task.unique_hash = input.unique_hash
    WHERE
        task.worker IS NULL
        AND (
            input.duplicate = 'replace'
            OR (
                input.duplicate = 'earlier'
                AND input.run_at < task.run_at
                AND task.run_at < 'infinity'
            )
        )
        AND input.id NOT IN (SELECT inserted.id FROM inserted)
    ORDER BY input.unique_hash
    FOR NO KEY UPDATE OF task
),
changed AS (
    UPDATE {schema}.tasks AS task
    SET
        payload = CASE locked.duplicate WHEN 'replace' THEN locked.payload ELSE task.payload END,
        priority = CASE locked.duplicate WHEN 'replace' THEN locked.priority ELSE task.priority END,
        concurrency_key = CASE locked.duplicate
            WHEN 'replace' THEN locked.concurrency_key
            ELSE task.concurrency_key
        END,
        run_at = CASE task.run_at WHEN 'infinity' THEN task.run_at ELSE locked.run_at END,
        parked = false
    FROM locked
    WHERE task.id = locked.id AND task.worker IS NULL
    RETURNING task.id, task.queue, locked.asked
)
SELECT
    CASE
        WHEN inserted.id IS NOT NULL THEN inserted.id
        WHEN changed.id IS NOT NULL THEN changed.id
        WHEN
            holder.id IS NOT NULL
            AND holder.worker IS NULL
            AND (
                input.duplicate = 'replace'
                OR (
                    input.duplicate = 'earlier'
                    AND input.run_at < holder.run_at
                    AND holder.run_at < 'infinity'
                )
            )
            THEN NULL
        ELSE coalesce(holder.id, kept.task)
    END AS id,
    CASE
        WHEN inserted.id IS NOT NULL THEN 'inserted'
        WHEN changed.id IS NULL THEN 'existing'
        WHEN input.duplicate = 'replace' THEN 'replaced'
        ELSE 'earlier'
    END AS happened,
    (
        SELECT count(pg_notify($13::text, fresh.queue))
        FROM (
            SELECT queue FROM inserted WHERE $13::text IS NOT NULL
            UNION
            SELECT queue FROM changed WHERE $13::text IS NOT NULL
        ) AS fresh
    ) AS notified
FROM input
LEFT JOIN inserted ON inserted.id = input.id
LEFT JOIN changed ON changed.asked = input.id
LEFT JOIN {schema}.tasks AS holder
    ON holder.unique_hash = input.unique_hash AND inserted.id IS NULL
LEFT JOIN {schema}.uniques AS kept
    ON kept.unique_hash = input.unique_hash AND input.lasting AND inserted.id IS NULL
ORDER BY input.position

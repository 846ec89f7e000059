-- Takes due tasks for a worker whose lease lives. Index: tasks_waiting, tasks_pkey.
-- The recursion hops from priority to priority of each queue, so that tasks which are not due
-- yet are never walked over; within one (queue, priority) the index gives them by due time.
-- Array equality over few ids keeps the update on the primary key whatever the statistics say.
-- A unique hash that only waiting tasks hold (it is longer than others) is released for good.
-- $1 worker, $2 queues, $3 room per queue.
WITH RECURSIVE lane AS (
    SELECT
        given.queue,
        given.room,
        (
            SELECT task.priority
            FROM {schema}.tasks AS task
            WHERE task.worker IS NULL AND task.queue = given.queue
            ORDER BY task.priority DESC
            LIMIT 1
        ) AS priority
    FROM unnest($2::text[], $3::integer[]) AS given (queue, room)
    WHERE EXISTS (
        SELECT FROM {schema}.workers AS worker
        WHERE worker.id = $1::uuid AND worker.expires_at > statement_timestamp()
    )
    UNION ALL
    SELECT
        lane.queue,
        lane.room,
        (
            SELECT task.priority
            FROM {schema}.tasks AS task
            WHERE
                task.worker IS NULL
                AND task.queue = lane.queue
                AND task.priority < lane.priority
            ORDER BY task.priority DESC
            LIMIT 1
        )
    FROM lane
    WHERE lane.priority IS NOT NULL
),
picked AS MATERIALIZED (
    SELECT chosen.id
    FROM (SELECT DISTINCT queue, room FROM lane) AS wanted
    CROSS JOIN LATERAL (
        SELECT due.id
        FROM (
            SELECT lane.priority
            FROM lane
            WHERE lane.queue = wanted.queue AND lane.priority IS NOT NULL
            ORDER BY lane.priority DESC
        ) AS step
        CROSS JOIN LATERAL (
            SELECT task.id
            FROM {schema}.tasks AS task
            WHERE
                task.worker IS NULL
                AND task.queue = wanted.queue
                AND task.priority = step.priority
                AND task.run_at <= statement_timestamp()
            ORDER BY task.run_at, task.id
            LIMIT wanted.room
            FOR UPDATE SKIP LOCKED
        ) AS due
        LIMIT wanted.room
    ) AS chosen
),
claimed AS (
    UPDATE {schema}.tasks AS task
    SET
        worker = $1::uuid,
        lease = task.lease + 1,
        attempt = task.attempt + 1,
        unique_hash = CASE WHEN octet_length(task.unique_hash) = 32 THEN task.unique_hash END
    WHERE task.id = ANY (ARRAY(SELECT picked.id FROM picked)) AND task.worker IS NULL
    RETURNING
        task.id, task.lease, task.name, task.queue, task.payload, task.attempt,
        task.max_attempts, task.enqueued_at, task.run_at, task.priority
)
SELECT id, lease, name, queue, payload, attempt, max_attempts, enqueued_at, run_at
FROM claimed
ORDER BY priority DESC, run_at, id

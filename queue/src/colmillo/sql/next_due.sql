-- How long until the earliest waiting task of the queues is due, negative when it is already;
-- null when nothing waits. What waits for its parents is due at no known time.
-- Index: tasks_waiting, one hop per queue and priority, from the floors on (see the claim).
-- $1 queues, $2 queues, $3 priorities, $4 due times and $5 ids of the floors.
WITH RECURSIVE floor AS MATERIALIZED (
    SELECT *
    FROM unnest($2::text[], $3::integer[], $4::timestamptz[], $5::bigint[])
        AS given (queue, priority, run_at, id)
),
lane AS (
    SELECT given.queue, 32768 AS priority
    FROM unnest($1::text[]) AS given (queue)
    UNION ALL
    SELECT
        lane.queue,
        greatest(
            known.priority,
            (
                SELECT task.priority
                FROM {schema}.tasks AS task
                WHERE
                    task.queue = lane.queue
                    AND task.priority < lane.priority
                    AND task.priority > coalesce(known.priority, -32769)
                ORDER BY task.priority DESC
                LIMIT 1
            )
        )
    FROM lane
    CROSS JOIN LATERAL (
        SELECT max(floor.priority) AS priority
        FROM floor
        WHERE floor.queue = lane.queue AND floor.priority < lane.priority
    ) AS known
    WHERE lane.priority IS NOT NULL
)
SELECT min(first.run_at) - statement_timestamp()
FROM lane
LEFT JOIN floor ON floor.queue = lane.queue AND floor.priority = lane.priority
CROSS JOIN LATERAL (
    SELECT task.run_at
    FROM {schema}.tasks AS task
    WHERE
        task.worker IS NULL
        AND task.queue = lane.queue
        AND task.priority = lane.priority
        AND task.run_at < 'infinity'
        AND (task.run_at, task.id)
        > (coalesce(floor.run_at, '-infinity'), coalesce(floor.id, 0))
    ORDER BY task.run_at, task.id
    LIMIT 1
) AS first

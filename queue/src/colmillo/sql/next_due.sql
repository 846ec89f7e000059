-- How long until the earliest waiting task of the queues is due, negative when it is already;
-- null when nothing waits.
-- Index: tasks_waiting, one hop per queue and priority.
-- $1 queues.
WITH RECURSIVE lane AS (
    SELECT
        given.queue,
        (
            SELECT task.priority
            FROM {schema}.tasks AS task
            WHERE task.worker IS NULL AND task.queue = given.queue
            ORDER BY task.priority DESC
            LIMIT 1
        ) AS priority
    FROM unnest($1::text[]) AS given (queue)
    UNION ALL
    SELECT
        lane.queue,
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
)
SELECT min(first.run_at) - statement_timestamp()
FROM lane
CROSS JOIN LATERAL (
    SELECT task.run_at
    FROM {schema}.tasks AS task
    WHERE
        task.worker IS NULL
        AND task.queue = lane.queue
        AND task.priority = lane.priority
    ORDER BY task.run_at
    LIMIT 1
) AS first

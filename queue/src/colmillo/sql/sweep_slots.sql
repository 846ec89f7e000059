-- Frees slots whose task does not run under that lease any more, which takes a bug or somebody
-- else's statements; and drops those above the limit. What changed since this statement began is
-- left alone. Index: tasks_pkey.
WITH leaked AS MATERIALIZED (
    SELECT own.queue, own.slot, own.task, own.lease
    FROM {schema}.slots AS own
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS so
        FROM {schema}.tasks AS task
        WHERE task.id = own.task AND task.lease = own.lease AND task.worker IS NOT NULL
    ) AS running
    WHERE own.task IS NOT NULL AND NOT running.so
),
freed AS (
    UPDATE {schema}.slots AS own
    SET task = NULL, lease = NULL
    FROM leaked
    WHERE
        own.queue = leaked.queue
        AND own.slot = leaked.slot
        AND own.task = leaked.task
        AND own.lease = leaked.lease
    RETURNING own.queue
),
dropped AS (
    DELETE FROM {schema}.slots AS own
    USING {schema}.queues AS rule
    WHERE
        rule.queue = own.queue
        AND own.slot > coalesce(rule.running, 0)
        AND own.task IS NULL
)
SELECT count(*) AS freed FROM freed

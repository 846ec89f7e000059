-- Keys with parked tasks and a free slot: what a settle would have seen to that did not get so
-- far, and what a higher limit lets go. Index: tasks_parked, one hop per key; key_slots_pkey.
-- $1 how many at most.
WITH RECURSIVE stuck AS (
    (
        SELECT queue, concurrency_key AS key
        FROM {schema}.tasks
        WHERE parked
        ORDER BY queue, concurrency_key
        LIMIT 1
    )
    UNION ALL
    SELECT next.queue, next.key
    FROM stuck
    CROSS JOIN LATERAL (
        SELECT task.queue, task.concurrency_key AS key
        FROM {schema}.tasks AS task
        WHERE task.parked AND (task.queue, task.concurrency_key) > (stuck.queue, stuck.key)
        ORDER BY task.queue, task.concurrency_key
        LIMIT 1
    ) AS next
)
SELECT stuck.queue, stuck.key
FROM stuck
LEFT JOIN {schema}.queues AS rule ON rule.queue = stuck.queue
WHERE
    rule.running_per_key IS NULL
    OR rule.running_per_key > (
        SELECT count(*)
        FROM {schema}.key_slots AS own
        WHERE own.queue = stuck.queue AND own.key = stuck.key
    )
LIMIT $1::integer

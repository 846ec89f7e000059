-- Frees the slots of keys whose task does not run under that lease any more; see `sweep_slots`.
-- Index: tasks_pkey, key_slots_pkey.
WITH leaked AS MATERIALIZED (
    SELECT own.queue, own.key, own.slot, own.task, own.lease
    FROM {schema}.key_slots AS own
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS so
        FROM {schema}.tasks AS task
        WHERE task.id = own.task AND task.lease = own.lease AND task.worker IS NOT NULL
    ) AS running
    WHERE NOT running.so
)
DELETE FROM {schema}.key_slots AS own
USING leaked
WHERE
    own.queue = leaked.queue
    AND own.key = leaked.key
    AND own.slot = leaked.slot
    AND own.task = leaked.task
    AND own.lease = leaked.lease

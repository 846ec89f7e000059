-- Frees the slots of keys whose task does not run under that lease any more; see `sweep_slots`.
-- Index: tasks_pkey, key_slots_pkey.
WITH leaked AS MATERIALIZED (
    SELECT own.queue, own.key, own.slot, own.task, own.lease
    FROM {schema}.key_slots AS own
    LEFT JOIN {schema}.tasks AS task ON task.id = own.task AND task.lease = own.lease
    WHERE task.worker IS NULL
)
DELETE FROM {schema}.key_slots AS own
USING leaked
WHERE
    own.queue = leaked.queue
    AND own.key = leaked.key
    AND own.slot = leaked.slot
    AND own.task = leaked.task
    AND own.lease = leaked.lease

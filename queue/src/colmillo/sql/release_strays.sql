-- Gives back the worker's tasks that it does not know of, attempts restored and slots freed.
-- Reads the whole table: for claims whose answer was lost.
-- $1 worker, $2 ids the worker knows.
WITH released AS (
    UPDATE {schema}.tasks
    SET worker = NULL, attempt = attempt - 1
    WHERE worker = $1::uuid AND id <> ALL ($2::bigint[])
    RETURNING id, lease, queue, slot, concurrency_key, key_slot
),
leaving AS MATERIALIZED (
    SELECT
        array_agg(DISTINCT released.queue) AS queues,
        array_agg(released.slot) AS slots,
        array_agg(released.concurrency_key) AS keys,
        array_agg(released.id) AS tasks
    FROM released
    WHERE released.slot IS NOT NULL OR released.key_slot IS NOT NULL
),
vacated AS (
    UPDATE {schema}.slots
    SET task = NULL, lease = NULL
    WHERE
        queue = ANY ((SELECT leaving.queues FROM leaving)::text[])
        AND slot = ANY ((SELECT leaving.slots FROM leaving)::integer[])
        AND task = ANY ((SELECT leaving.tasks FROM leaving)::bigint[])
    RETURNING queue
),
key_vacated AS (
    DELETE FROM {schema}.key_slots
    WHERE
        queue = ANY ((SELECT leaving.queues FROM leaving)::text[])
        AND key = ANY ((SELECT leaving.keys FROM leaving)::text[])
        AND task = ANY ((SELECT leaving.tasks FROM leaving)::bigint[])
    RETURNING queue, key
)
SELECT id FROM released

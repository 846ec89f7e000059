-- Gives back the worker's tasks that it does not know of, attempts restored and slots freed.
-- Reads the whole table: for claims whose answer was lost.
-- $1 worker, $2 ids the worker knows.
WITH released AS (
    UPDATE {schema}.tasks
    SET worker = NULL, attempt = attempt - 1
    WHERE worker = $1::uuid AND id <> ALL ($2::bigint[])
    RETURNING id, lease, queue, slot, concurrency_key, key_slot
),
vacated AS (
    UPDATE {schema}.slots AS own
    SET task = NULL, lease = NULL
    FROM released
    WHERE
        released.slot IS NOT NULL
        AND own.queue = released.queue
        AND own.slot = released.slot
        AND own.task = released.id
        AND own.lease = released.lease
    RETURNING own.queue
),
key_vacated AS (
    DELETE FROM {schema}.key_slots AS own
    USING released
    WHERE
        released.key_slot IS NOT NULL
        AND own.queue = released.queue
        AND own.key = released.concurrency_key
        AND own.slot = released.key_slot
        AND own.task = released.id
        AND own.lease = released.lease
    RETURNING own.queue, own.key
)
SELECT id FROM released

-- Makes orphaned tasks wait again where they stood, the attempt counted; those that crashed
-- too often go to the archive. The caller holds the rows' locks. Their slots are free with that.
-- Index: tasks_pkey, slots_pkey, key_slots_pkey.
-- $1 ids, $2 crashes that are too many, $3 errors kept.
WITH gone AS (
    DELETE FROM {schema}.tasks
    WHERE id = ANY ($1::bigint[]) AND worker IS NOT NULL AND crashes + 1 >= $2::integer
    RETURNING *
),
archived AS (
    INSERT INTO {schema}.archive (
        id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
        crashes, ending, queue, name, concurrency_key, payload, unique_hash, errors
    )
    SELECT
        id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts,
        priority, crashes + 1, 'quarantined', queue, name, concurrency_key, payload,
        unique_hash,
        (errors || format('its workers died %s times while running it', crashes + 1))[
            greatest(1, coalesce(cardinality(errors), 0) + 2 - $3::integer):
        ]
    FROM gone
),
released AS (
    UPDATE {schema}.tasks
    SET worker = NULL, crashes = crashes + 1
    WHERE id = ANY ($1::bigint[]) AND worker IS NOT NULL AND crashes + 1 < $2::integer
    RETURNING id, lease, queue, slot, concurrency_key, key_slot
),
freed AS (
    SELECT id, lease, queue, slot, concurrency_key, key_slot FROM gone
    UNION ALL
    SELECT id, lease, queue, slot, concurrency_key, key_slot FROM released
),
vacated AS (
    UPDATE {schema}.slots AS own
    SET task = NULL, lease = NULL
    FROM freed
    WHERE
        freed.slot IS NOT NULL
        AND own.queue = freed.queue
        AND own.slot = freed.slot
        AND own.task = freed.id
        AND own.lease = freed.lease
    RETURNING own.queue
),
key_vacated AS (
    DELETE FROM {schema}.key_slots AS own
    USING freed
    WHERE
        freed.key_slot IS NOT NULL
        AND own.queue = freed.queue
        AND own.key = freed.concurrency_key
        AND own.slot = freed.key_slot
        AND own.task = freed.id
        AND own.lease = freed.lease
    RETURNING own.queue, own.key
)
SELECT id, true AS quarantined FROM gone
UNION ALL
SELECT id, false AS quarantined FROM released
ORDER BY id

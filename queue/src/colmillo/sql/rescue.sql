-- Makes orphaned tasks wait again where they stood, the attempt counted; those that crashed
-- too often go to the archive. The caller holds the rows' locks. Their slots are free with that;
-- children hear of an end by follow_up.
-- Index: tasks_pkey, slots_pkey, key_slots_pkey, dependencies_pkey.
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
closed AS (
    UPDATE {schema}.dependencies
    SET open = false, outcome = 'quarantined'
    WHERE parent = ANY (ARRAY(SELECT gone.id FROM gone WHERE gone.linked)) AND open
),
noted AS (
    INSERT INTO {schema}.followups (task)
    SELECT id FROM gone WHERE linked
    ON CONFLICT (task) DO NOTHING
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
leaving AS MATERIALIZED (
    SELECT
        array_agg(DISTINCT freed.queue) AS queues,
        array_agg(freed.slot) AS slots,
        array_agg(freed.concurrency_key) AS keys,
        array_agg(freed.id) AS tasks
    FROM freed
    WHERE freed.slot IS NOT NULL OR freed.key_slot IS NOT NULL
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
SELECT id, true AS quarantined FROM gone
UNION ALL
SELECT id, false AS quarantined FROM released
ORDER BY id

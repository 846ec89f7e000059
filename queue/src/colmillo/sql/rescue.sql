-- Makes orphaned tasks wait again where they stood, the attempt counted; those that crashed
-- too often go to the archive. The caller holds the rows' locks. Children hear of
-- the end by follow_up. Index: tasks_pkey, dependencies_pkey.
-- $1 ids, $2 crashes that are too many, $3 errors kept.
WITH gone AS (
    DELETE FROM {schema}.tasks
    WHERE id = ANY ($1::bigint[]) AND worker IS NOT NULL AND crashes + 1 >= $2::integer
    RETURNING *
),
archived AS (
    INSERT INTO {schema}.archive (
        id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
        crashes, ending, queue, name, payload, unique_hash, errors
    )
    SELECT
        id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts,
        priority, crashes + 1, 'quarantined', queue, name, payload, unique_hash,
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
    RETURNING id
)
SELECT id, true AS quarantined FROM gone
UNION ALL
SELECT id, false AS quarantined FROM released
ORDER BY id

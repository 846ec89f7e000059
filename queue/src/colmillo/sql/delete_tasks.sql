-- Removes waiting and archived tasks for good, and the hashes that they hold until a period is
-- over: whoever deletes a task wants it as if it had never been enqueued. Children hear of it by
-- follow_up. Index: tasks_pkey, archive_pkey, uniques_pkey, dependencies_pkey.
-- $1 ids.
WITH live AS (
    DELETE FROM {schema}.tasks
    WHERE id = ANY ($1::bigint[]) AND worker IS NULL
    RETURNING id, unique_hash, linked
),
closed AS (
    UPDATE {schema}.dependencies
    SET open = false, outcome = 'deleted'
    WHERE parent = ANY (ARRAY(SELECT live.id FROM live WHERE live.linked)) AND open
),
noted AS (
    INSERT INTO {schema}.followups (task)
    SELECT id FROM live WHERE linked
    ON CONFLICT (task) DO NOTHING
),
archived AS (
    DELETE FROM {schema}.archive WHERE id = ANY ($1::bigint[]) RETURNING id, unique_hash
),
gone AS (
    SELECT id, unique_hash FROM live
    UNION ALL
    SELECT id, unique_hash FROM archived
),
freed AS (
    DELETE FROM {schema}.uniques
    WHERE
        unique_hash = ANY (ARRAY(SELECT gone.unique_hash FROM gone))
        AND task = ANY (ARRAY(SELECT gone.id FROM gone))
)
SELECT id FROM gone

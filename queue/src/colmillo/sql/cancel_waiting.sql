-- Archives as cancelled those of the tasks that wait. What a claim holds at the moment is left
-- alone: nobody ever waits for a cancel. Children hear of it by follow_up.
-- Index: tasks_pkey, dependencies_pkey.
-- $1 ids, $2 reasons, $3 errors kept.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[]) AS given (id, why)
),
free AS MATERIALIZED (
    SELECT task.id
    FROM {schema}.tasks AS task
    WHERE task.id = ANY ($1::bigint[]) AND task.worker IS NULL
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM {schema}.tasks AS task
    USING asked
    WHERE
        task.id = ANY (ARRAY(SELECT free.id FROM free))
        AND task.id = asked.id
        AND task.worker IS NULL
    RETURNING task.*, asked.why
),
closed AS (
    UPDATE {schema}.dependencies
    SET open = false, outcome = 'cancelled'
    WHERE parent = ANY (ARRAY(SELECT gone.id FROM gone WHERE gone.linked)) AND open
),
noted AS (
    INSERT INTO {schema}.followups (task)
    SELECT id FROM gone WHERE linked
    ON CONFLICT (task) DO NOTHING
)
INSERT INTO {schema}.archive (
    id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
    crashes, ending, queue, name, concurrency_key, payload, unique_hash, errors
)
SELECT
    id, CASE run_at WHEN 'infinity' THEN statement_timestamp() ELSE run_at END, enqueued_at,
    statement_timestamp(), worker, lease, attempt, max_attempts, priority, crashes, 'cancelled',
    queue, name, concurrency_key, payload, unique_hash,
    (errors || why)[greatest(1, coalesce(cardinality(errors), 0) + 2 - $3::integer):]
FROM gone
RETURNING id

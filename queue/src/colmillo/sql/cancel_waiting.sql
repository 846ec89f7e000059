-- Archives as cancelled those of the tasks that wait. What a claim holds at the moment is left
-- alone: nobody ever waits for a cancel. Index: tasks_pkey.
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
)
INSERT INTO {schema}.archive (
    id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
    crashes, ending, queue, name, concurrency_key, payload, unique_hash, errors
)
SELECT
    id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts,
    priority, crashes, 'cancelled', queue, name, concurrency_key, payload, unique_hash,
    (errors || why)[greatest(1, coalesce(cardinality(errors), 0) + 2 - $3::integer):]
FROM gone
RETURNING id

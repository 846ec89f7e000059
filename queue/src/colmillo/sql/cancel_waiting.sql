-- Archives waiting tasks as cancelled; running ones are left alone. Index: tasks_pkey.
-- $1 ids, $2 why.
WITH gone AS (
    DELETE FROM {schema}.tasks
    WHERE id = ANY ($1::bigint[]) AND worker IS NULL
    RETURNING *
)
INSERT INTO {schema}.archive (
    id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
    crashes, ending, queue, name, payload, unique_hash, errors
)
SELECT
    id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts, priority,
    crashes, 'cancelled', queue, name, payload, unique_hash, errors || $2::text
FROM gone
RETURNING id

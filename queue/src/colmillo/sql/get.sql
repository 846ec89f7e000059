-- One task, live or archived. Due at null: when its parents have ended.
-- Index: tasks_pkey, archive_pkey.
-- $1 id.
SELECT
    id, name, queue,
    CASE
        WHEN worker IS NOT NULL THEN 'running' WHEN run_at = 'infinity' THEN 'blocked'
        ELSE 'waiting'
    END AS state,
    payload, priority, attempt, max_attempts, nullif(run_at, 'infinity') AS run_at, enqueued_at,
    lease, crashes, worker, errors,
    NULL::timestamptz AS archived_at, unique_hash
FROM {schema}.tasks
WHERE id = $1::bigint
UNION ALL
SELECT
    id, name, queue, ending, payload,
    priority, attempt, max_attempts, run_at, enqueued_at, lease, crashes, worker, errors,
    archived_at, unique_hash
FROM {schema}.archive
WHERE id = $1::bigint

-- One task with everything about it, live or archived. Index: tasks_pkey, archive_pkey.
-- $1 id.
SELECT
    task.id,
    CASE
        WHEN task.worker IS NOT NULL THEN 'running' WHEN task.run_at = 'infinity' THEN 'blocked'
        ELSE 'waiting'
    END AS state,
    task.queue,
    task.name, task.payload, task.priority, task.attempt, task.max_attempts, task.crashes,
    nullif(task.run_at, 'infinity') AS run_at, task.enqueued_at,
    NULL::timestamptz AS archived_at, task.lease,
    task.worker, worker.name AS worker_name, encode(task.unique_hash, 'hex') AS unique_hash,
    coalesce(task.errors, '{}') AS errors, statement_timestamp() AS now
FROM {schema}.tasks AS task
LEFT JOIN {schema}.workers AS worker ON worker.id = task.worker
WHERE task.id = $1::bigint
UNION ALL
SELECT
    id, ending, queue, name, payload, priority, attempt, max_attempts, crashes, run_at, enqueued_at,
    archived_at, lease, worker, NULL, encode(unique_hash, 'hex'), coalesce(errors, '{}'),
    statement_timestamp()
FROM {schema}.archive
WHERE id = $1::bigint

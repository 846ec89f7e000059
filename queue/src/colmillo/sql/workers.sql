-- The workers by lease, with what they run; also those that have no lease any more but still
-- hold tasks. Index: tasks_running.
WITH held AS (
    SELECT worker, count(*) AS running, min(id) AS first_task
    FROM {schema}.tasks
    WHERE worker IS NOT NULL
    GROUP BY worker
)
SELECT
    coalesce(worker.id, held.worker) AS id,
    worker.name,
    worker.started_at,
    worker.expires_at,
    coalesce(held.running, 0) AS running,
    held.first_task,
    coalesce(worker.expires_at > clock_timestamp(), false) AS alive,
    statement_timestamp() AS now
FROM {schema}.workers AS worker
FULL JOIN held ON held.worker = worker.id
ORDER BY worker.name, 1

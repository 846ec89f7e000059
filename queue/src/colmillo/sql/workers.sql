-- The workers by lease, with what they run; also those that retired or were forgotten but still
-- hold tasks. Reads the tasks whole, as no index knows their workers: for people, now and then.
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
    nullif(worker.expires_at, '-infinity') AS expires_at,
    coalesce(held.running, 0) AS running,
    held.first_task,
    coalesce(worker.expires_at > clock_timestamp(), false) AS alive,
    statement_timestamp() AS now
FROM {schema}.workers AS worker
FULL JOIN held ON held.worker = worker.id
WHERE worker.expires_at > '-infinity' OR held.worker IS NOT NULL
ORDER BY worker.name, 1

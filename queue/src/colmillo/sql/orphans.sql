-- The running tasks of these workers, and of workers nobody knows. No index names the worker, so
-- that a claim changes none: this reads the whole table, and runs only when a worker died.
-- $1 workers.
SELECT task.id
FROM {schema}.tasks AS task
WHERE
    task.worker IS NOT NULL
    AND (
        task.worker = ANY ($1::uuid[])
        OR NOT EXISTS (SELECT FROM {schema}.workers AS worker WHERE worker.id = task.worker)
    )
ORDER BY task.id

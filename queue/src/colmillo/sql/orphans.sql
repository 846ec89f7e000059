-- The running tasks of workers without a lease, a page of them, locked. Index: tasks_running.
-- What a transaction holds at the moment is left for the next rescue.
-- $1 after this id, $2 page size.
SELECT task.id
FROM {schema}.tasks AS task
WHERE
    task.worker IS NOT NULL
    AND task.id > $1::bigint
    AND NOT EXISTS (SELECT FROM {schema}.workers AS worker WHERE worker.id = task.worker)
ORDER BY task.id
LIMIT $2::integer
FOR UPDATE OF task SKIP LOCKED

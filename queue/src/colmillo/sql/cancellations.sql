-- The tasks that somebody wants cancelled, and where they are by now. Index: tasks_pkey.
-- $1 how many at most.
SELECT request.id, request.why, task.id IS NOT NULL AS live, task.worker, task.lease
FROM {schema}.cancellations AS request
LEFT JOIN {schema}.tasks AS task ON task.id = request.id
ORDER BY request.id
LIMIT $1::integer

-- The tasks that somebody wants cancelled, and where they are by now. Index: tasks_pkey, once for
-- each request: the limit keeps the planner from joining the whole table to what is nearly
-- always nothing.
-- $1 how many at most.
SELECT request.id, request.why, task.id IS NOT NULL AS live, task.worker, task.lease
FROM {schema}.cancellations AS request
LEFT JOIN LATERAL (
    SELECT id, worker, lease
    FROM {schema}.tasks
    WHERE id = request.id
    LIMIT 1
) AS task ON true
ORDER BY request.id
LIMIT $1::integer

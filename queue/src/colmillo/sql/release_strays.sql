-- Gives back the worker's tasks that it does not know of, attempts restored. Index: tasks_running.
-- $1 worker, $2 ids the worker knows.
UPDATE {schema}.tasks
SET worker = NULL, attempt = attempt - 1
WHERE worker = $1::uuid AND id <> ALL ($2::bigint[])
RETURNING id

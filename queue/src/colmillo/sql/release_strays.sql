-- Gives back the worker's tasks that it does not know of, attempts restored.
-- Reads the whole table: for claims whose answer was lost.
-- $1 worker, $2 ids the worker knows.
UPDATE {schema}.tasks
SET worker = NULL, attempt = attempt - 1
WHERE worker = $1::uuid AND id <> ALL ($2::bigint[])
RETURNING id

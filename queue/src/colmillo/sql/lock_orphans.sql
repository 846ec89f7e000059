-- Locks tasks before they are freed. What a transaction holds at the moment is left for the next
-- rescue. Index: tasks_pkey.
-- $1 ids.
SELECT id FROM {schema}.tasks WHERE id = ANY ($1::bigint[]) AND worker IS NOT NULL
ORDER BY id
FOR UPDATE SKIP LOCKED

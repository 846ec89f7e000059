-- Forgets workers that hold nothing any more. Index: workers_pkey.
-- $1 workers.
DELETE FROM {schema}.workers WHERE id = ANY ($1::uuid[])

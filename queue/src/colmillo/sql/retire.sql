-- Ends a worker's lease. Index: workers_pkey.
-- $1 worker.
DELETE FROM {schema}.workers WHERE id = $1::uuid

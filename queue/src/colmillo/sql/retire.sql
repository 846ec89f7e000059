-- Ends a worker's lease; the next rescue sees to what it held, and forgets it.
-- Index: workers_pkey.
-- $1 worker.
UPDATE {schema}.workers SET expires_at = '-infinity' WHERE id = $1::uuid

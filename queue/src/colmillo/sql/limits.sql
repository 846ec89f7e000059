-- The limits of all queues that have any. Reads a table that has a handful of rows.
SELECT queue, running, running_per_key, rate_tasks, rate_seconds, burst
FROM {schema}.queues
WHERE limited
ORDER BY queue

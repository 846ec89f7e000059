-- Wakes the listeners of queues.
-- $1 channel, $2 queues.
SELECT pg_notify($1::text, queue) FROM unnest($2::text[]) AS given (queue)

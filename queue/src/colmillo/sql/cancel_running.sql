-- Asks the worker of a live task to cancel it, and wakes the workers. Index: tasks_pkey.
-- $1 id, $2 reason, $3 channel (null wakes nobody), $4 what workers hear.
WITH asked AS (
    INSERT INTO {schema}.cancellations (id, requested_at, why)
    SELECT $1::bigint, statement_timestamp(), $2::text
    WHERE EXISTS (SELECT FROM {schema}.tasks WHERE id = $1::bigint)
    ON CONFLICT (id) DO UPDATE SET why = excluded.why, requested_at = excluded.requested_at
    RETURNING id
)
SELECT
    id,
    (SELECT count(pg_notify($3::text, $4::text)) WHERE $3::text IS NOT NULL) AS notified
FROM asked

-- Adds one task without a unique hash and wakes the listeners of its queue.
-- $1 queue, $2 name, $3 payload, $4 priority, $5 max_attempts, $6 run_at, $7 delay in seconds,
-- $8 concurrency key, $9 channel (null wakes nobody).
INSERT INTO {schema}.tasks (
    queue, name, payload, priority, max_attempts, run_at, enqueued_at, concurrency_key
)
VALUES (
    $1::text, $2::text, $3::text, $4::smallint, $5::integer,
    coalesce(
        $6::timestamptz,
        statement_timestamp() + make_interval(secs => coalesce($7::double precision, 0))
    ),
    statement_timestamp(), $8::text
)
RETURNING id, CASE WHEN $9::text IS NOT NULL THEN pg_notify($9::text, $1::text) END AS notified

-- Puts archived tasks back, due now and with all their attempts, and wakes their queues. The
-- lease number goes on, so no old claim can match. One whose unique hash is held by a live task
-- stays where it is. Index: archive_pkey, tasks_unique.
-- $1 ids, $2 channel.
WITH picked AS MATERIALIZED (
    SELECT * FROM {schema}.archive WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
),
inserted AS (
    INSERT INTO {schema}.tasks (
        id, run_at, enqueued_at, lease, max_attempts, priority, queue, name,
        concurrency_key, payload, unique_hash, errors
    )
    SELECT
        id, statement_timestamp(), enqueued_at, lease, max_attempts, priority, queue, name,
        concurrency_key, payload, unique_hash, errors
    FROM picked
    ORDER BY unique_hash, id
    ON CONFLICT DO NOTHING
    RETURNING id, queue
),
gone AS (
    DELETE FROM {schema}.archive WHERE id = ANY (ARRAY(SELECT inserted.id FROM inserted))
)
SELECT
    inserted.id,
    (
        SELECT count(pg_notify($2::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM inserted) AS fresh
    ) AS notified
FROM inserted

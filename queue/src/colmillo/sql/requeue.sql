-- Puts archived tasks back among those that wait, due now, their attempts and crashes forgotten
-- and their errors kept, and wakes their queues. One whose unique hash is held stays where it
-- is; the holder may be null when this statement's snapshot does not see it yet.
-- Index: archive_pkey, tasks_unique. Rows go in by hash, as in every enqueue.
-- $1 ids, $2 channel (null wakes nobody).
WITH dead AS MATERIALIZED (
    SELECT *
    FROM {schema}.archive
    WHERE id = ANY ($1::bigint[])
    ORDER BY id
    FOR UPDATE
),
inserted AS (
    INSERT INTO {schema}.tasks (
        id, run_at, enqueued_at, lease, max_attempts, priority, queue, name,
        concurrency_key, payload, unique_hash, errors
    )
    SELECT
        id, statement_timestamp(), enqueued_at, lease, max_attempts, priority, queue, name,
        concurrency_key, payload, unique_hash, errors
    FROM dead
    ORDER BY unique_hash, id
    ON CONFLICT (unique_hash) WHERE unique_hash IS NOT NULL DO NOTHING
    RETURNING id, queue
),
gone AS (
    DELETE FROM {schema}.archive AS archived
    USING inserted
    WHERE archived.id = inserted.id
),
forgotten AS (
    DELETE FROM {schema}.cancellations AS request
    USING inserted
    WHERE request.id = inserted.id
)
SELECT
    dead.id,
    inserted.id IS NOT NULL AS requeued,
    CASE WHEN inserted.id IS NULL THEN (
        SELECT holder.id FROM {schema}.tasks AS holder WHERE holder.unique_hash = dead.unique_hash
    ) END AS holder,
    (
        SELECT count(pg_notify($2::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM inserted WHERE $2::text IS NOT NULL) AS fresh
    ) AS notified
FROM dead
LEFT JOIN inserted ON inserted.id = dead.id

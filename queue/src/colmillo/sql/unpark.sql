-- Lets as many parked tasks of these keys be claimed again as the keys have free slots, and wakes
-- the workers; 10,000 at a time where there is no such limit any more. Run after a commit that
-- freed slots, so that it sees what was parked until then. Index: tasks_parked, key_slots_pkey,
-- tasks_pkey.
-- $1 queues, $2 keys, $3 channel (null wakes nobody).
WITH freed AS (
    SELECT DISTINCT queue, key FROM unnest($1::text[], $2::text[]) AS given (queue, key)
),
chosen AS MATERIALIZED (
    SELECT task.id
    FROM freed
    LEFT JOIN {schema}.queues AS rule ON rule.queue = freed.queue
    CROSS JOIN LATERAL (
        SELECT parked.id
        FROM {schema}.tasks AS parked
        WHERE
            parked.parked
            AND parked.queue = freed.queue
            AND parked.concurrency_key = freed.key
        ORDER BY parked.priority DESC, parked.run_at, parked.id
        LIMIT CASE
            WHEN rule.running_per_key IS NOT NULL THEN greatest(
                0,
                rule.running_per_key - (
                    SELECT count(*)
                    FROM {schema}.key_slots AS own
                    WHERE own.queue = freed.queue AND own.key = freed.key
                )
            )
            ELSE 10000
        END
        FOR UPDATE OF parked SKIP LOCKED
    ) AS task
),
woken AS (
    UPDATE {schema}.tasks
    SET parked = false
    WHERE id = ANY (ARRAY(SELECT chosen.id FROM chosen))
    RETURNING queue
)
SELECT
    count(*) AS tasks,
    (
        SELECT count(pg_notify($3::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM woken WHERE $3::text IS NOT NULL) AS fresh
    ) AS notified
FROM woken

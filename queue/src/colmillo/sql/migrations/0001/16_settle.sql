-- Carries verdicts out where id and lease still match. Index: tasks_pkey, slots_pkey,
-- key_slots_pkey. Slots are freed as by `finish`; a task that waits again keeps their numbers,
-- which mean nothing without the rows that name the task.
-- A task whose ending is not null leaves for the archive; one whose delay is not null waits
-- again (less than 0: due when it was due before); any other is done. The error history keeps its
-- latest entries. Answers with what it settled, in one row. A task of a flow may wait again;
-- settle_linked ends it.
-- $1 ids, $2 leases, $3 endings, $4 delays in seconds, $5 attempts given back (0 or 1),
-- $6 errors, $7 errors kept, $8 channel (null tells nobody).
-- A function for the same reason as the claim; and when the tasks were last analysed while none
-- ran, the planner would compare each given id with each running task.
CREATE FUNCTION {schema}.settle(
    bigint[], integer[], text[], double precision[], integer[], text[], integer, text
)
RETURNS TABLE (ids bigint[], leases integer[], queues text[], keys text[], notified bigint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $colmillo$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH verdict AS MATERIALIZED (
        SELECT *
        FROM unnest(
            $1::bigint[], $2::integer[], $3::text[], $4::double precision[], $5::integer[],
            $6::text[]
        ) AS given (id, lease, ending, delay, given_back, error)
    ),
    gone AS (
        DELETE FROM {schema}.tasks AS task
        USING verdict
        WHERE
            task.id = verdict.id
            AND task.lease = verdict.lease
            AND task.worker IS NOT NULL
            AND verdict.delay IS NULL
            AND NOT task.linked
        RETURNING task.*, verdict.ending, verdict.error
    ),
    archived AS (
        INSERT INTO {schema}.archive (
            id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
            crashes, ending, queue, name, concurrency_key, payload, unique_hash, errors
        )
        SELECT
            id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts,
            priority, crashes, ending, queue, name, concurrency_key, payload, unique_hash,
            (errors || error)[greatest(1, coalesce(cardinality(errors), 0) + 2 - $7::integer):]
        FROM gone
        WHERE ending IS NOT NULL
    ),
    again AS (
        UPDATE {schema}.tasks AS task
        SET
            worker = NULL,
            run_at = CASE
                WHEN verdict.delay < 0 THEN task.run_at
                ELSE statement_timestamp() + make_interval(secs => verdict.delay)
            END,
            attempt = task.attempt - verdict.given_back,
            errors = CASE
                WHEN verdict.error IS NULL THEN task.errors
                ELSE (task.errors || verdict.error)[
                    greatest(1, coalesce(cardinality(task.errors), 0) + 2 - $7::integer):
                ]
            END
        FROM verdict
        WHERE
            task.id = verdict.id
            AND task.lease = verdict.lease
            AND task.worker IS NOT NULL
            AND verdict.delay IS NOT NULL
        RETURNING task.id, task.lease, task.queue, task.slot, task.concurrency_key, task.key_slot
    ),
    settled AS (
        SELECT id, lease, queue, slot, concurrency_key, key_slot FROM gone
        UNION ALL
        SELECT id, lease, queue, slot, concurrency_key, key_slot FROM again
    ),
    leaving AS MATERIALIZED (
        SELECT
            array_agg(DISTINCT settled.queue) AS queues,
            array_agg(settled.slot) AS slots,
            array_agg(settled.concurrency_key) AS keys,
            array_agg(settled.id) AS tasks
        FROM settled
        WHERE settled.slot IS NOT NULL OR settled.key_slot IS NOT NULL
    ),
    vacated AS (
        UPDATE {schema}.slots
        SET task = NULL, lease = NULL
        WHERE
            queue = ANY ((SELECT leaving.queues FROM leaving)::text[])
            AND slot = ANY ((SELECT leaving.slots FROM leaving)::integer[])
            AND task = ANY ((SELECT leaving.tasks FROM leaving)::bigint[])
        RETURNING queue
    ),
    key_vacated AS (
        DELETE FROM {schema}.key_slots
        WHERE
            queue = ANY ((SELECT leaving.queues FROM leaving)::text[])
            AND key = ANY ((SELECT leaving.keys FROM leaving)::text[])
            AND task = ANY ((SELECT leaving.tasks FROM leaving)::bigint[])
        RETURNING queue, key
    )
    SELECT
        array_agg(id) AS ids,
        array_agg(lease) AS leases,
        (SELECT array_agg(key_vacated.queue) FROM key_vacated) AS queues,
        (SELECT array_agg(key_vacated.key) FROM key_vacated) AS keys,
        (
            SELECT count(pg_notify($8::text, busy.queue))
            FROM (SELECT DISTINCT queue FROM vacated WHERE $8::text IS NOT NULL) AS busy
            WHERE NOT EXISTS (
                SELECT FROM {schema}.slots AS own WHERE own.queue = busy.queue AND own.task IS NULL
            )
        ) AS notified
    FROM settled;
END
$colmillo$

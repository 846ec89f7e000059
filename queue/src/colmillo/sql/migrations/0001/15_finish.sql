-- Removes tasks that are done, where id and lease still match; answers with what it removed, in
-- one row. Index: tasks_pkey, slots_pkey, key_slots_pkey.
-- The slots that tasks of limited queues held are free with that; workers are told when a queue
-- had none. The answer names the keys of such slots: who asked looks for parked tasks of theirs.
-- A task of a flow is left alone: settle_linked ends it.
-- $1 ids, $2 leases, $3 channel (null tells nobody).
-- A function for the same reason as the claim; and when the tasks were last analysed while none
-- ran, the planner would compare each given id with each running task.
CREATE FUNCTION {schema}.finish(bigint[], integer[], text)
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
    WITH gone AS (
        DELETE FROM {schema}.tasks AS task
        USING unnest($1::bigint[], $2::integer[]) AS given (id, lease)
        WHERE
            task.id = given.id
            AND task.lease = given.lease
            AND task.worker IS NOT NULL
            AND NOT task.linked
        RETURNING
            task.id, task.lease, task.queue, task.slot, task.concurrency_key, task.key_slot
    ),
    leaving AS MATERIALIZED (
        SELECT
            array_agg(DISTINCT gone.queue) AS queues,
            array_agg(gone.slot) AS slots,
            array_agg(gone.concurrency_key) AS keys,
            array_agg(gone.id) AS tasks
        FROM gone
        WHERE gone.slot IS NOT NULL OR gone.key_slot IS NOT NULL
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
            SELECT count(pg_notify($3::text, busy.queue))
            FROM (SELECT DISTINCT queue FROM vacated WHERE $3::text IS NOT NULL) AS busy
            WHERE NOT EXISTS (
                SELECT FROM {schema}.slots AS own WHERE own.queue = busy.queue AND own.task IS NULL
            )
        ) AS notified
    FROM gone;
END
$colmillo$

-- Removes tasks that are done, where id and lease still match, keeps their results and tells who
-- waits for them. Drops results whose time is over, some at a time, which is faster than they
-- come. Slots and answer as with `finish`. Index: tasks_pkey, results_end, slots_pkey,
-- key_slots_pkey.
-- A task of a flow is left alone: settle_linked ends it.
-- $1 ids, $2 leases, $3 results, $4 for how many seconds each is kept, $5 channel of results,
-- $6 channel (null tells nobody).
-- A function for the same reason as the claim; and when the tasks were last analysed while none
-- ran, the planner would compare each given id with each running task.
CREATE FUNCTION {schema}.finish_with(bigint[], integer[], text[], double precision[], text, text)
RETURNS TABLE (
    ids bigint[], leases integer[], told bigint, queues text[], keys text[],
    notified bigint
)
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
        USING unnest($1::bigint[], $2::integer[], $3::text[], $4::double precision[])
            AS given (id, lease, result, keep)
        WHERE
            task.id = given.id
            AND task.lease = given.lease
            AND task.worker IS NOT NULL
            AND NOT task.linked
        RETURNING
            task.id, task.lease, task.queue, task.slot, task.concurrency_key, task.key_slot,
            given.result, given.keep
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
    ),
    kept AS (
        INSERT INTO {schema}.results (id, expires_at, result)
        SELECT id, statement_timestamp() + make_interval(secs => keep), result
        FROM gone
    ),
    dropped AS (
        DELETE FROM {schema}.results
        WHERE id = ANY (
            ARRAY(
                SELECT old.id
                FROM {schema}.results AS old
                WHERE old.expires_at <= statement_timestamp()
                ORDER BY old.expires_at
                LIMIT 2 * cardinality($1::bigint[]) + 10
                FOR UPDATE SKIP LOCKED
            )
        )
    )
    SELECT
        array_agg(id) AS ids,
        array_agg(lease) AS leases,
        count(CASE WHEN $5::text IS NOT NULL THEN pg_notify($5::text, id::text) END) AS told,
        (SELECT array_agg(key_vacated.queue) FROM key_vacated) AS queues,
        (SELECT array_agg(key_vacated.key) FROM key_vacated) AS keys,
        (
            SELECT count(pg_notify($6::text, busy.queue))
            FROM (SELECT DISTINCT queue FROM vacated WHERE $6::text IS NOT NULL) AS busy
            WHERE NOT EXISTS (
                SELECT FROM {schema}.slots AS own WHERE own.queue = busy.queue AND own.task IS NULL
            )
        ) AS notified
    FROM gone;
END
$colmillo$

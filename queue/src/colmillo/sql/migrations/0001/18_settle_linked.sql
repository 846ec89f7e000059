-- Ends tasks of flows, where id and lease still match, as settle and finish_with do, and records
-- that for their children, whom follow_up tells. Nobody else writes the rows of dependencies that
-- this does: those of a parent are its own, and so two parents of one child never wait for each
-- other's transactions.
-- Slots and answer as with `finish`. Index: tasks_pkey, dependencies_pkey, dependencies_child,
-- results_end, slots_pkey, key_slots_pkey.
-- $1 ids, $2 leases, $3 endings (null: done), $4 errors, $5 results (null: none), $6 for how many
-- seconds each result is kept (null: for the children only), $7 errors kept, $8 channel of
-- results, $9 channel (null tells nobody).
-- A function for the same reason as the claim; and when the tasks were last analysed while none
-- ran, the planner would compare each given id with each running task.
CREATE FUNCTION {schema}.settle_linked(
    bigint[], integer[], text[], text[], text[], double precision[], integer, text, text
)
RETURNS TABLE (
    ids bigint[], leases integer[], queues text[], keys text[], told bigint,
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
    WITH verdict AS MATERIALIZED (
        SELECT *
        FROM unnest(
            $1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::double precision[]
        ) AS given (id, lease, ending, error, result, keep)
    ),
    gone AS (
        DELETE FROM {schema}.tasks AS task
        USING verdict
        WHERE task.id = verdict.id AND task.lease = verdict.lease AND task.worker IS NOT NULL
        RETURNING task.*, verdict.ending, verdict.error, verdict.result, verdict.keep
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
    closed AS (
        UPDATE {schema}.dependencies AS edge
        SET open = false, outcome = coalesce(gone.ending, 'done'), result = gone.result
        FROM gone
        WHERE edge.parent = gone.id AND edge.open
        RETURNING edge.parent
    ),
    dropped AS (
        DELETE FROM {schema}.dependencies
        WHERE child = ANY (ARRAY(SELECT gone.id FROM gone)) AND NOT open
    ),
    noted AS (
        INSERT INTO {schema}.followups (task)
        SELECT DISTINCT parent FROM closed
        ON CONFLICT (task) DO NOTHING
    ),
    kept AS (
        INSERT INTO {schema}.results (id, expires_at, result)
        SELECT id, statement_timestamp() + make_interval(secs => keep), result
        FROM gone
        WHERE keep IS NOT NULL
        RETURNING id
    ),
    forgotten AS (
        DELETE FROM {schema}.results
        WHERE id = ANY (
            ARRAY(
                SELECT old.id
                FROM {schema}.results AS old
                WHERE old.expires_at <= statement_timestamp()
                ORDER BY old.expires_at
                LIMIT (SELECT 2 * count(*) FROM kept)
                FOR UPDATE SKIP LOCKED
            )
        )
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
            SELECT count(pg_notify($8::text, kept.id::text)) FROM kept WHERE $8::text IS NOT NULL
        ) AS told,
        (
            SELECT count(pg_notify($9::text, busy.queue))
            FROM (SELECT DISTINCT queue FROM vacated WHERE $9::text IS NOT NULL) AS busy
            WHERE NOT EXISTS (
                SELECT FROM {schema}.slots AS own WHERE own.queue = busy.queue AND own.task IS NULL
            )
        ) AS notified
    FROM gone;
END
$colmillo$

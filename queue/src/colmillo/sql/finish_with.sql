-- Removes tasks that are done, where id and lease still match, keeps their results and tells who
-- waits for them. Drops results whose time is over, some at a time, which is faster than they
-- come. Index: tasks_pkey, results_end.
-- A task of a flow is left alone: settle_linked ends it.
-- $1 ids, $2 leases, $3 results, $4 for how many seconds each is kept, $5 channel (null tells
-- nobody).
WITH gone AS (
    DELETE FROM {schema}.tasks AS task
    USING unnest($1::bigint[], $2::integer[], $3::text[], $4::double precision[])
        AS given (id, lease, result, keep)
    WHERE
        task.id = given.id
        AND task.lease = given.lease
        AND task.worker IS NOT NULL
        AND NOT task.linked
    RETURNING task.id, task.lease, given.result, given.keep
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
    id, lease,
    CASE WHEN $5::text IS NOT NULL THEN pg_notify($5::text, id::text) END AS notified
FROM gone

-- Ends tasks of flows, where id and lease still match, as settle and finish_with do, and records
-- that for their children, whom follow_up tells. Nobody else writes the rows of dependencies that
-- this does: those of a parent are its own, and so two parents of one child never wait for each
-- other's transactions.
-- Index: tasks_pkey, dependencies_pkey, dependencies_child, results_end.
-- $1 ids, $2 leases, $3 endings (null: done), $4 errors, $5 results (null: none), $6 for how many
-- seconds each result is kept (null: for the children only), $7 errors kept, $8 channel for those
-- who wait for results (null tells nobody).
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
        crashes, ending, queue, name, payload, unique_hash, errors
    )
    SELECT
        id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts,
        priority, crashes, ending, queue, name, payload, unique_hash,
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
)
SELECT
    id, lease,
    CASE WHEN keep IS NOT NULL AND $8::text IS NOT NULL THEN pg_notify($8::text, id::text) END
        AS notified
FROM gone

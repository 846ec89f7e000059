-- Carries verdicts out where id and lease still match. Index: tasks_pkey.
-- A task whose ending is not null leaves for the archive; one whose delay is not null waits
-- again (less than 0: due when it was due before); any other is done. The error history keeps its
-- latest entries. Answers with what it settled, in one row. A task of a flow may wait again;
-- settle_linked ends it.
-- $1 ids, $2 leases, $3 endings, $4 delays in seconds, $5 attempts given back (0 or 1),
-- $6 errors, $7 errors kept.
WITH verdict AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::bigint[], $2::integer[], $3::text[], $4::double precision[], $5::integer[], $6::text[]
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
        crashes, ending, queue, name, payload, unique_hash, errors
    )
    SELECT
        id, run_at, enqueued_at, statement_timestamp(), worker, lease, attempt, max_attempts,
        priority, crashes, ending, queue, name, payload, unique_hash,
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
    RETURNING task.id, task.lease
)
SELECT array_agg(id) AS ids, array_agg(lease) AS leases
FROM (SELECT id, lease FROM gone UNION ALL SELECT id, lease FROM again) AS settled

-- Tasks for people, live and archived, the newest first. Index: tasks_pkey, archive_pkey, walked
-- backwards until enough match.
-- $1 queue or null, $2 name or null, $3 states, $4 below this id or null, $5 how many.
SELECT *
FROM (
    (
        SELECT
            id,
            CASE
                WHEN worker IS NOT NULL THEN 'running' WHEN run_at = 'infinity' THEN 'blocked'
                ELSE 'waiting'
            END AS state,
            queue, name, priority, attempt, max_attempts, nullif(run_at, 'infinity') AS run_at,
            enqueued_at,
            NULL::timestamptz AS archived_at, errors[cardinality(errors)] AS last_error,
            statement_timestamp() AS now
        FROM {schema}.tasks
        WHERE
            queue = coalesce($1::text, queue)
            AND name = coalesce($2::text, name)
            AND CASE
                WHEN worker IS NOT NULL THEN 'running' WHEN run_at = 'infinity' THEN 'blocked'
                ELSE 'waiting'
            END = ANY ($3::text[])
            AND id < coalesce($4::bigint, 9223372036854775807)
        ORDER BY id DESC
        LIMIT $5::integer
    )
    UNION ALL
    (
        SELECT
            id, ending, queue, name, priority, attempt, max_attempts, run_at, enqueued_at,
            archived_at, errors[cardinality(errors)], statement_timestamp()
        FROM {schema}.archive
        WHERE
            queue = coalesce($1::text, queue)
            AND name = coalesce($2::text, name)
            AND ending = ANY ($3::text[])
            AND id < coalesce($4::bigint, 9223372036854775807)
        ORDER BY id DESC
        LIMIT $5::integer
    )
) AS task
ORDER BY id DESC
LIMIT $5::integer

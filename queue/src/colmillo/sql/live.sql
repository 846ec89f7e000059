-- Live tasks, the latest ids first, with everything about them. For people and tests, page by page.
-- Index: tasks_pkey.
-- $1 queue, $2 name (each null: any), $3 before this id (null: from the latest), $4 how many at
-- most.
SELECT
    id, name, queue, CASE WHEN worker IS NULL THEN 'waiting' ELSE 'running' END AS state, payload,
    priority, attempt, max_attempts, run_at, enqueued_at, lease, crashes, worker, errors,
    NULL::timestamptz AS archived_at, unique_hash
FROM {schema}.tasks
WHERE
    ($1::text IS NULL OR queue = $1::text)
    AND ($2::text IS NULL OR name = $2::text)
    AND ($3::bigint IS NULL OR id < $3::bigint)
ORDER BY id DESC
LIMIT $4::integer

-- Archived tasks, the latest ids first, with their errors. For people, page by page.
-- Index: archive_pkey.
-- $1 queue, $2 name, $3 ending (each null: any), $4 before this id (null: from the latest),
-- $5 how many at most.
SELECT
    id, name, queue, ending AS state, payload,
    priority, attempt, max_attempts, run_at, enqueued_at, lease, crashes, worker, errors,
    archived_at, unique_hash
FROM {schema}.archive
WHERE
    ($1::text IS NULL OR queue = $1::text)
    AND ($2::text IS NULL OR name = $2::text)
    AND ($3::text IS NULL OR ending = $3::text)
    AND ($4::bigint IS NULL OR id < $4::bigint)
ORDER BY id DESC
LIMIT $5::integer

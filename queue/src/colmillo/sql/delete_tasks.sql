-- Removes waiting and archived tasks for good. Index: tasks_pkey, archive_pkey.
-- $1 ids.
WITH live AS (
    DELETE FROM {schema}.tasks WHERE id = ANY ($1::bigint[]) AND worker IS NULL RETURNING id
),
archived AS (
    DELETE FROM {schema}.archive WHERE id = ANY ($1::bigint[]) RETURNING id
)
SELECT id FROM live
UNION ALL
SELECT id FROM archived

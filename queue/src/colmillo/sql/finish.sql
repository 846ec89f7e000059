-- Removes tasks that are done, where id and lease still match; answers with those that did not.
-- Index: tasks_pkey.
-- $1 ids, $2 leases.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::integer[]) AS claim (id, lease)
),
gone AS (
    DELETE FROM {schema}.tasks AS task
    USING given
    WHERE task.id = given.id AND task.lease = given.lease AND task.worker IS NOT NULL
    RETURNING task.id, task.lease
)
SELECT id FROM (SELECT id, lease FROM given EXCEPT SELECT id, lease FROM gone) AS refused

-- Removes tasks that are done, where id and lease still match; answers with what it removed, in
-- one row. Index: tasks_pkey.
-- A task of a flow is left alone: settle_linked ends it.
-- $1 ids, $2 leases.
WITH gone AS (
    DELETE FROM {schema}.tasks AS task
    USING unnest($1::bigint[], $2::integer[]) AS given (id, lease)
    WHERE
        task.id = given.id
        AND task.lease = given.lease
        AND task.worker IS NOT NULL
        AND NOT task.linked
    RETURNING task.id, task.lease
)
SELECT array_agg(id) AS ids, array_agg(lease) AS leases FROM gone

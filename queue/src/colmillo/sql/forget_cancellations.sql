-- Drops requests whose tasks are not live any more. Index: cancellations_pkey, tasks_pkey.
-- $1 ids.
DELETE FROM {schema}.cancellations AS request
WHERE
    request.id = ANY ($1::bigint[])
    AND (SELECT task.id FROM {schema}.tasks AS task WHERE task.id = request.id) IS NULL

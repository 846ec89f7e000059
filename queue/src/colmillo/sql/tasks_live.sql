-- How many tasks live, and the bytes of what they carry, as stored. Reads the table in the order
-- of its pages, dead rows too, until it has found so many.
-- $1 how many at most.
SELECT
    count(*) AS live,
    coalesce(sum(pg_column_size(payload) + coalesce(pg_column_size(errors), 0)), 0)::bigint
        AS bytes
FROM (SELECT payload, errors FROM {schema}.tasks LIMIT $1::bigint) AS task

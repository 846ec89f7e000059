-- Ids for tasks that are about to be copied in, growing, and the database's clock.
-- $1 how many, $2 the sequence of the ids.
SELECT array_agg(nextval($2::text::regclass)) AS ids, statement_timestamp() AS now
FROM generate_series(1, $1::integer)

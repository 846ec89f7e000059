-- How many bytes the live tasks take on disk, indexes and long values included. Looks at the
-- files' sizes, not at rows.
-- $1 the table.
SELECT pg_total_relation_size($1::text::regclass) AS size

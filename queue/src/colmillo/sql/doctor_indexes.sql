-- The indexes that are there, and whether each can be used.
-- $1 schema.
SELECT relation.relname AS name, index.indisvalid AND index.indisready AS valid
FROM pg_catalog.pg_index AS index
JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indexrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE namespace.nspname = $1::text
ORDER BY relation.relname

-- Whether the table of migrations exists.
-- $1 schema, $2 table.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE namespace.nspname = $1::text AND relation.relname = $2::text
)

-- The tables' sizes and dead rows, and whether autovacuum may see to them.
-- $1 schema.
SELECT
    relation.relname AS name,
    coalesce(stat.n_live_tup, 0) AS live,
    coalesce(stat.n_dead_tup, 0) AS dead,
    pg_total_relation_size(relation.oid) AS size,
    greatest(stat.last_vacuum, stat.last_autovacuum) AS vacuumed_at,
    coalesce('autovacuum_enabled=false' = ANY (relation.reloptions), false) AS autovacuum_off
FROM pg_catalog.pg_class AS relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
LEFT JOIN pg_catalog.pg_stat_user_tables AS stat ON stat.relid = relation.oid
WHERE namespace.nspname = $1::text AND relation.relkind = 'r'
ORDER BY relation.relname

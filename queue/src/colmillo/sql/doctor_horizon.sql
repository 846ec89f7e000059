-- Who keeps vacuum from removing dead rows, and open transactions: sessions, prepared
-- transactions, replication slots. Ours is left out.
SELECT
    'session' AS kind,
    pid::text AS who,
    concat_ws(' ', usename, nullif(application_name, ''), host(client_addr)) AS details,
    state,
    clock_timestamp() - xact_start AS open_for,
    age(backend_xmin) AS transactions
FROM pg_catalog.pg_stat_activity
WHERE
    datname = current_database()
    AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
    AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)
UNION ALL
SELECT
    'prepared transaction', gid, owner::text, 'prepared', clock_timestamp() - prepared,
    age(transaction)
FROM pg_catalog.pg_prepared_xacts
WHERE database = current_database()
UNION ALL
SELECT
    'replication slot', slot_name::text, plugin::text,
    CASE WHEN active THEN 'active' ELSE 'inactive' END, NULL,
    greatest(age(xmin), age(catalog_xmin))
FROM pg_catalog.pg_replication_slots
WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
ORDER BY transactions DESC NULLS LAST

-- Who holds the live tasks' table in a transaction that goes on: it cannot be compacted meanwhile.
-- $1 the table.
SELECT DISTINCT
    session.pid::text AS who,
    concat_ws(
        ' ', session.usename, nullif(session.application_name, ''), host(session.client_addr)
    ) AS details,
    session.state,
    clock_timestamp() - session.xact_start AS open_for
FROM pg_catalog.pg_locks AS lock
JOIN pg_catalog.pg_stat_activity AS session ON session.pid = lock.pid
WHERE
    lock.granted
    AND lock.relation = $1::text::regclass
    AND lock.database = (
        SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()
    )
    AND session.pid <> pg_backend_pid()
ORDER BY open_for DESC NULLS LAST

-- The server's settings that matter to a queue, and who we are to it.
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS number,
    current_setting('autovacuum') AS autovacuum,
    current_setting('track_counts') AS track_counts,
    pg_backend_pid() AS pid,
    clock_timestamp() AS now

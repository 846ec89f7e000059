-- How many tasks of each queue are due, wait for later and run, and for how long the oldest has
-- been due; tasks that wait for others aside. Reads the live table whole: for measures, now and
-- then.
SELECT
    queue,
    count(*) FILTER (WHERE worker IS NULL AND run_at <= statement_timestamp()) AS due,
    count(*) FILTER (WHERE worker IS NULL AND run_at > statement_timestamp()) AS later,
    count(*) FILTER (WHERE worker IS NOT NULL) AS running,
    statement_timestamp() - min(run_at) FILTER (
        WHERE worker IS NULL AND run_at <= statement_timestamp()
    ) AS oldest
FROM {schema}.tasks
WHERE run_at < 'infinity'
GROUP BY queue

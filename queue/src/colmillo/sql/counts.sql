-- How many tasks there are per queue and state. Reads both tables whole: for people, not for
-- workers.
SELECT
    queue,
    CASE
        WHEN worker IS NOT NULL THEN 'running' WHEN run_at = 'infinity' THEN 'blocked'
        ELSE 'waiting'
    END AS state,
    count(*) AS tasks
FROM {schema}.tasks
GROUP BY 1, 2
UNION ALL
SELECT queue, ending, count(*)
FROM {schema}.archive
GROUP BY 1, 2

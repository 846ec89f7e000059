-- The queues that have tasks, a pause or limits, for people. Reads both tables whole.
WITH live AS (
    SELECT
        queue,
        count(*) FILTER (WHERE worker IS NULL AND run_at <= statement_timestamp()) AS due,
        count(*) FILTER (
            WHERE worker IS NULL AND run_at > statement_timestamp() AND run_at < 'infinity'
        ) AS later,
        count(*) FILTER (WHERE worker IS NULL AND run_at = 'infinity') AS blocked,
        count(*) FILTER (WHERE worker IS NOT NULL) AS running,
        min(run_at) FILTER (WHERE worker IS NULL AND run_at <= statement_timestamp()) AS oldest
    FROM {schema}.tasks
    GROUP BY queue
),
past AS (
    SELECT queue, count(*) AS archived FROM {schema}.archive GROUP BY queue
),
names AS (
    SELECT queue FROM live
    UNION
    SELECT queue FROM past
    UNION
    SELECT queue FROM {schema}.queues WHERE paused_at IS NOT NULL OR limited
)
SELECT
    names.queue,
    coalesce(live.due, 0) AS due,
    coalesce(live.later, 0) AS later,
    coalesce(live.blocked, 0) AS blocked,
    coalesce(live.running, 0) AS running,
    coalesce(past.archived, 0) AS archived,
    live.oldest,
    queues.paused_at,
    queues.running AS limit_running,
    queues.running_per_key AS limit_per_key,
    queues.rate_tasks,
    queues.rate_seconds,
    queues.burst,
    statement_timestamp() AS now
FROM names
LEFT JOIN live ON live.queue = names.queue
LEFT JOIN past ON past.queue = names.queue
LEFT JOIN {schema}.queues AS queues ON queues.queue = names.queue
ORDER BY names.queue

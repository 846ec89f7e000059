-- What every worker reads at each poll: the clock, the paused queues, and a number that changes
-- with any schedule. Reads two tables whole that have a handful of rows.
SELECT
    clock_timestamp() AS now,
    ARRAY(SELECT queue FROM {schema}.queues WHERE paused_at IS NOT NULL) AS paused,
    coalesce(
        (
            SELECT hashtextextended(string_agg(revision::text, '' ORDER BY revision), 0)
            FROM {schema}.schedules
        ),
        0
    ) AS schedules

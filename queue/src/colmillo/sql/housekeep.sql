-- Removes what nobody can ask for any more, so much of each kind at a time, and skips what others
-- are at. Index: archive_archived, results_end, uniques_end, ticks_pkey with one hop per schedule.
-- Fire times are remembered for a week, and the latest of each schedule for good.
-- $1 for how many seconds archived tasks are kept (null: for ever), $2 how many of each at most.
WITH RECURSIVE schedule AS (
    SELECT min(schedule) AS name FROM {schema}.ticks
    UNION ALL
    SELECT (SELECT min(tick.schedule) FROM {schema}.ticks AS tick WHERE tick.schedule > name)
    FROM schedule
    WHERE name IS NOT NULL
),
archived AS (
    DELETE FROM {schema}.archive
    WHERE
        id = ANY (ARRAY(
            SELECT old.id
            FROM {schema}.archive AS old
            WHERE
                old.archived_at
                < statement_timestamp() - make_interval(secs => $1::double precision)
            ORDER BY old.archived_at
            LIMIT $2::integer
            FOR UPDATE SKIP LOCKED
        ))
    RETURNING 1
),
results AS (
    DELETE FROM {schema}.results
    WHERE
        id = ANY (ARRAY(
            SELECT old.id
            FROM {schema}.results AS old
            WHERE old.expires_at <= statement_timestamp()
            ORDER BY old.expires_at
            LIMIT $2::integer
            FOR UPDATE SKIP LOCKED
        ))
    RETURNING 1
),
uniques AS (
    DELETE FROM {schema}.uniques
    WHERE
        unique_hash = ANY (ARRAY(
            SELECT old.unique_hash
            FROM {schema}.uniques AS old
            WHERE old.period_end < statement_timestamp() - interval '1 hour'
            ORDER BY old.period_end
            LIMIT $2::integer
            FOR UPDATE SKIP LOCKED
        ))
    RETURNING 1
),
ticks AS (
    DELETE FROM {schema}.ticks AS gone
    USING
        schedule
        CROSS JOIN LATERAL (
            SELECT tick.fire_time
            FROM {schema}.ticks AS tick
            WHERE
                tick.schedule = schedule.name
                AND tick.fire_time < statement_timestamp() - interval '7 days'
                AND tick.fire_time < (
                    SELECT max(latest.fire_time)
                    FROM {schema}.ticks AS latest
                    WHERE latest.schedule = schedule.name
                )
            ORDER BY tick.fire_time
            LIMIT $2::integer
        ) AS old
    WHERE gone.schedule = schedule.name AND gone.fire_time = old.fire_time
    RETURNING 1
)
SELECT
    counted.archived + counted.results + counted.uniques + counted.ticks AS removed,
    greatest(counted.archived, counted.results, counted.uniques, counted.ticks) >= $2::integer
        AS more
FROM (
    SELECT
        (SELECT count(*) FROM archived) AS archived,
        (SELECT count(*) FROM results) AS results,
        (SELECT count(*) FROM uniques) AS uniques,
        (SELECT count(*) FROM ticks) AS ticks
) AS counted

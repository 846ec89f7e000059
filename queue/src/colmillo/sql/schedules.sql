-- All schedules with their last fire times. Index: ticks_pkey, one hop per schedule.
SELECT
    schedule.name, schedule.timing, schedule.spec, schedule.static, schedule.paused, schedule.since,
    (
        SELECT tick.fire_time
        FROM {schema}.ticks AS tick
        WHERE tick.schedule = schedule.name
        ORDER BY tick.fire_time DESC
        LIMIT 1
    ) AS last_tick
FROM {schema}.schedules AS schedule
ORDER BY schedule.name

-- Takes a schedule's fire time; no row comes back when somebody has it, or when the schedule is
-- paused. The lock makes a pause and a tick wait for each other, so that nothing is enqueued
-- once the pause is committed. Index: schedules_pkey, ticks_pkey.
-- $1 schedule, $2 fire time.
WITH known AS MATERIALIZED (
    SELECT paused FROM {schema}.schedules WHERE name = $1::text FOR SHARE
)
INSERT INTO {schema}.ticks (schedule, fire_time)
SELECT $1::text, $2::timestamptz
WHERE NOT EXISTS (SELECT FROM known WHERE known.paused)
ON CONFLICT (schedule, fire_time) DO NOTHING
RETURNING schedule

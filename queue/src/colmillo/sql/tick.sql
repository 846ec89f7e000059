-- Takes a schedule's fire time; no row comes back when somebody has it. Index: ticks_pkey.
-- $1 schedule, $2 fire time.
INSERT INTO {schema}.ticks (schedule, fire_time)
VALUES ($1::text, $2::timestamptz)
ON CONFLICT (schedule, fire_time) DO NOTHING
RETURNING schedule

-- Removes a schedule and its ticks. Index: schedules_pkey, ticks_pkey.
-- $1 name.
WITH ticks AS (
    DELETE FROM {schema}.ticks WHERE schedule = $1::text
)
DELETE FROM {schema}.schedules WHERE name = $1::text
RETURNING name

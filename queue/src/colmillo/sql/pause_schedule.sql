-- Pauses a schedule, or resumes it from now on; no row comes back when it was so already or is
-- not there. Waits for ticks under way, which lock the row. Index: schedules_pkey.
-- $1 name, $2 whether to pause.
UPDATE {schema}.schedules
SET paused = $2::boolean, since = clock_timestamp(), revision = gen_random_uuid()
WHERE name = $1::text AND paused <> $2::boolean
RETURNING name

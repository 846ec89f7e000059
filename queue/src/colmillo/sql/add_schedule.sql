-- Adds a schedule, or replaces one that was added; no row comes back when the name is taken.
-- Index: schedules_pkey.
-- $1 name, $2 timing, $3 spec, $4 whether one that is there may be replaced.
INSERT INTO {schema}.schedules AS known (name, timing, spec, static, since)
VALUES ($1::text, $2::text, $3::text, false, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET
    timing = excluded.timing,
    spec = excluded.spec,
    since = excluded.since,
    revision = excluded.revision
WHERE $4::boolean AND NOT known.static
RETURNING name

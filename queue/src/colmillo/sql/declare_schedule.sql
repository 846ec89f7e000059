-- Records a schedule of a worker's code; changes nothing when it is known as it is. One that
-- fires at other times than before has missed nothing so far. Index: schedules_pkey.
-- $1 name, $2 timing, $3 spec.
INSERT INTO {schema}.schedules AS known (name, timing, spec, static, since)
VALUES ($1::text, $2::text, $3::text, true, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET
    timing = excluded.timing,
    spec = excluded.spec,
    static = true,
    since = CASE WHEN known.timing = excluded.timing THEN known.since ELSE excluded.since END,
    revision = excluded.revision
WHERE NOT known.static OR known.timing <> excluded.timing OR known.spec <> excluded.spec

-- Drops the schedule's ticks that nobody can ask for any more. Index: ticks_pkey.
-- $1 schedule, $2 the fire time just taken, $3 for how many seconds ticks are
-- remembered.
DELETE FROM {schema}.ticks
WHERE
    schedule = $1::text
    AND fire_time
    < least($2::timestamptz, statement_timestamp()) - make_interval(secs => $3::double precision)

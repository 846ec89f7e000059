-- The schedules: those added at run time, and those of the workers' code, so that they can be
-- seen and paused. The revision changes with every change of a row.
CREATE TABLE {schema}.schedules (
    name text PRIMARY KEY,
    timing text NOT NULL,
    spec text NOT NULL,
    static boolean NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL,
    revision uuid NOT NULL DEFAULT gen_random_uuid()
)

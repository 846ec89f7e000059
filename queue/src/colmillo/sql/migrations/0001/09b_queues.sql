-- What is said about queues: a pause, and limits. Most queues have no row.
CREATE TABLE {schema}.queues (
    queue text PRIMARY KEY,
    paused_at timestamptz,
    running integer,
    running_per_key integer,
    rate_tasks integer,
    rate_seconds double precision,
    burst integer,
    limited boolean NOT NULL GENERATED ALWAYS AS (
        coalesce(running, running_per_key, rate_tasks) IS NOT NULL
    ) STORED
)

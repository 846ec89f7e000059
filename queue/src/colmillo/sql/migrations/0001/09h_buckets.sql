-- The token bucket of each queue with a rate, as it was when it was last drawn from. In a table of
-- its own: what every claim reads of `queues` stays as it is.
CREATE TABLE {schema}.buckets (
    queue text PRIMARY KEY,
    tokens double precision NOT NULL,
    refilled_at timestamptz NOT NULL
) WITH (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
)

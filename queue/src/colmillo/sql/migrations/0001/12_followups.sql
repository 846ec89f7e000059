-- Tasks of flows that have ended and whose children may not have heard of it yet. A row comes with
-- the end, in the same statement, and goes with the next one; what a crash leaves is found here.
CREATE TABLE {schema}.followups (
    task bigint PRIMARY KEY
) WITH (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
)

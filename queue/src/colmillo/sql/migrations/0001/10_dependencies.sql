-- Which task of a flow waits for which. A row is open until its parent has ended; then it has the
-- outcome and what the parent hands to the child, and stays until the child has ended too. Delay
-- and not_before are the child's: when it is due once nothing holds it back.
CREATE TABLE {schema}.dependencies (
    parent bigint NOT NULL,
    child bigint NOT NULL,
    not_before timestamptz,
    delay double precision NOT NULL,
    position smallint NOT NULL,
    open boolean NOT NULL DEFAULT true,
    tolerant boolean NOT NULL,
    outcome text,
    result text,
    PRIMARY KEY (parent, child)
) WITH (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
)

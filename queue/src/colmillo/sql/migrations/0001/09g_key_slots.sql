-- The running tasks of queues with a limit per key, numbered within their key: the primary key is
-- what makes the limit hold when claims overlap. There are rows only for keys that run.
CREATE TABLE {schema}.key_slots (
    queue text NOT NULL,
    key text NOT NULL,
    slot integer NOT NULL,
    task bigint NOT NULL,
    lease integer NOT NULL,
    PRIMARY KEY (queue, key, slot)
) WITH (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
)

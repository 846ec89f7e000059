-- A queue with a limit has as many of these rows, and a task that runs holds one: the row's lock
-- is what makes the limit hold when claims overlap. Taken and freed in place (HOT).
CREATE TABLE {schema}.slots (
    queue text NOT NULL,
    slot integer NOT NULL,
    task bigint,
    lease integer,
    PRIMARY KEY (queue, slot)
) WITH (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
)

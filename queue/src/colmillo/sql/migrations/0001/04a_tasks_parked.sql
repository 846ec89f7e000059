-- The tasks that wait for a slot of their key, per key in the order in which they will start.
CREATE INDEX tasks_parked ON {schema}.tasks (
    queue, concurrency_key, priority DESC, run_at, id
) WHERE parked

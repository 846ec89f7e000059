-- What claims walk along: per queue and priority, by due time. Running tasks are in it too.
CREATE INDEX tasks_waiting ON {schema}.tasks (queue, priority DESC, run_at, id) WHERE NOT parked

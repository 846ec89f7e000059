-- What claims walk along: per queue and priority, by due time.
CREATE INDEX tasks_waiting ON {schema}.tasks (queue, priority DESC, run_at, id)
    WHERE worker IS NULL

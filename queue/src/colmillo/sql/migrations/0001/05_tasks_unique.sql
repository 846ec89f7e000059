-- A unique hash has one live holder, waiting or running.
CREATE UNIQUE INDEX tasks_unique ON {schema}.tasks (unique_hash) WHERE unique_hash IS NOT NULL

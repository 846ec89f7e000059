-- The queue's own schema, so that its names never meet the application's.
CREATE SCHEMA IF NOT EXISTS {schema}

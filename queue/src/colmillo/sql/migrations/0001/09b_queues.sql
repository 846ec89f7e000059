-- What is said about queues: a row only for those that are paused.
CREATE TABLE {schema}.queues (
    queue text PRIMARY KEY,
    paused_at timestamptz NOT NULL
)

-- Running tasks that somebody wants cancelled, until their worker has seen to it. Nearly always
-- empty; claims and settles do not know of it.
CREATE TABLE {schema}.cancellations (
    id bigint PRIMARY KEY,
    requested_at timestamptz NOT NULL,
    why text NOT NULL
)

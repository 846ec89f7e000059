-- What tasks that asked for it returned, as JSON, for a while. Written once with the finish.
CREATE TABLE {schema}.results (
    id bigint PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    result text NOT NULL
)

-- Tasks that were set aside, with the reason and their last errors. Written once, for people.
CREATE TABLE {schema}.archive (
    id bigint PRIMARY KEY,
    run_at timestamptz NOT NULL,
    enqueued_at timestamptz NOT NULL,
    archived_at timestamptz NOT NULL,
    worker uuid,
    lease integer NOT NULL,
    attempt integer NOT NULL,
    max_attempts integer,
    priority smallint NOT NULL,
    crashes smallint NOT NULL,
    ending text NOT NULL,
    queue text NOT NULL,
    name text NOT NULL,
    concurrency_key text,
    payload text NOT NULL,
    unique_hash bytea,
    errors text[]
)

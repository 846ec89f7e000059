-- The hashes that are held until a period is over, whatever became of the task. Written once by
-- the enqueue, so that claims and settles know nothing of it; the hot table stays as it is.
CREATE TABLE {schema}.uniques (
    unique_hash bytea PRIMARY KEY,
    task bigint NOT NULL,
    period_end timestamptz NOT NULL
)

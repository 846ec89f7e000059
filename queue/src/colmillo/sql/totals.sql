-- The clock, the last id that was given out and how many tasks live, for rates over time.
-- Reads the tasks' smallest index whole.
-- $1 the sequence of the ids.
SELECT
    clock_timestamp() AS now,
    coalesce(pg_sequence_last_value($1::text::regclass), 0) AS last_id,
    (SELECT count(*) FROM {schema}.tasks) AS live

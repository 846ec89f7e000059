-- Whether we are the only one who compacts this schema, until the end of the transaction; and how
-- long statements in it may wait for a lock, and take.
-- $1 schema, $2 and $3 limits in milliseconds.
SELECT
    pg_try_advisory_xact_lock(hashtextextended('colmillo compaction of ' || $1::text, 0)) AS alone,
    set_config('lock_timeout', $2::text, true),
    set_config('statement_timeout', $3::text, true)

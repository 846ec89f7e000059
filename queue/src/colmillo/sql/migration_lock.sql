-- One migrator of a schema at a time, until the end of the transaction.
-- $1 schema.
SELECT pg_advisory_xact_lock(hashtextextended('colmillo migrations of ' || $1::text, 0))

-- Removes the leases that are over: from here on they cannot be renewed, so their tasks may be
-- taken. Reads the whole table, which has one row per worker. The clock is read row by row, and
-- again after waiting for a renewal that was under way.
DELETE FROM {schema}.workers WHERE expires_at <= clock_timestamp()

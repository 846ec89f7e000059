-- The leases that are over, locked: from here on they cannot be renewed or claimed under, and
-- claims under way have ended. Reads the whole table, which has one row per worker. The clock is
-- read row by row, and again after waiting for a renewal that was under way.
SELECT id FROM {schema}.workers WHERE expires_at <= clock_timestamp() ORDER BY id FOR UPDATE

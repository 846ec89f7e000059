-- The database's time, which everything stored goes by.
SELECT now()

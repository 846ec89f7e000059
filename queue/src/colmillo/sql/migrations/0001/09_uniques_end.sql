-- What is dropped first: the enqueue removes old hashes as it adds new ones.
CREATE INDEX uniques_end ON {schema}.uniques (period_end)

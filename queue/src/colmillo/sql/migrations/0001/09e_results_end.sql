-- What is dropped first: keeping a result drops old ones.
CREATE INDEX results_end ON {schema}.results (expires_at)
